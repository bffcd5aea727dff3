//! The gate of the server: who calls is found out, and whoever may not call the method at all is turned away.

use std::sync::Arc;

use http::{Extensions, HeaderMap};
use tonic::Status;
use uuid::Uuid;

use crate::{
    action::{Action, Actions, ActionsError, Method, Methods},
    auth::{Authenticator, Claims, ClaimsError, KeyError, purpose_of_call},
    caller::{Caller, Identity},
    errors::permission_denied,
    permit::{Asked, Permits, PolicyError},
    settings::Settings,
};

/// Lets callers in.
#[derive(Debug)]
pub struct Gate {
    authenticator: Authenticator,
    permits: Arc<Permits>,
    pub(crate) methods: Arc<Methods>,
}

/// The gate can't be built, and without it nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// A key can't be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The policies can't be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The table of actions does not fit the contracts.
    #[error(transparent)]
    Actions(#[from] ActionsError),
}

impl Gate {
    /// A gate for the methods in these descriptors, with the keys and policies of the settings.
    ///
    /// # Errors
    /// Keys, policies or actions that can't be used.
    pub fn new(
        settings: &Settings,
        descriptors: &[&[u8]],
        actions: &Actions,
    ) -> Result<Self, GateError> {
        let methods = Arc::new(Methods::new(descriptors, actions)?);
        let policy_file = settings.auth.policy_file.as_deref();
        Ok(Self {
            authenticator: Authenticator::new(&settings.auth)?,
            permits: Arc::new(Permits::load(
                policy_file,
                Arc::clone(&methods),
                settings.is_local(),
            )?),
            methods,
        })
    }

    /// All methods of the contracts by their full names, such as `eldercare.registry.v1.RegistryService/GetElder`, and what
    /// each does. Nobody may call one for which no action is declared.
    pub fn methods(&self) -> impl Iterator<Item = (&str, Option<Action>)> {
        self.methods
            .iter()
            .map(|method| (method.name.as_str(), method.action))
    }

    /// Whoever the claims describe as the caller of a method by its full name, whether it may call it or not. Each time it
    /// is somebody new, of whom no answer is remembered.
    pub(crate) fn somebody(&self, claims: &Claims, method: &str) -> Result<Caller, ClaimsError> {
        let identity = Identity::of_claims(claims, Uuid::new_v4().into_bytes())?;
        let purpose = identity.purpose.clone();
        let method = self.methods.of_path(&format!("/{method}"));
        Ok(self.caller_of(method, Arc::new(identity), purpose, None))
    }

    fn caller_of(
        &self,
        method: &Method,
        identity: Arc<Identity>,
        purpose: Option<Arc<str>>,
        token: Option<Arc<str>>,
    ) -> Caller {
        Caller {
            identity,
            purpose,
            asked: Asked::Method(method.number),
            permits: Arc::clone(&self.permits),
            token,
            address: None,
            access: None,
        }
    }

    /// The caller of a method, if it may call that method somewhere. Where exactly, the handler asks
    /// once it knows the division.
    pub(crate) fn enter(
        &self,
        method: &Method,
        headers: &HeaderMap,
        connection: &Extensions,
    ) -> Result<Caller, Status> {
        let (identity, token) = self.authenticator.identify(headers, connection)?;
        if method.action.is_none() {
            return Err(permission_denied(
                "METHOD_NOT_DECLARED",
                "nobody may call this method: no action is declared for it",
                "此方法未开放调用",
            ));
        }
        let purpose = purpose_of_call(headers, identity.purpose.as_ref());
        let caller = self.caller_of(method, identity, purpose, token);
        if self
            .permits
            .permit_somewhere(&caller.identity, caller.purpose.as_ref(), caller.asked)
        {
            Ok(caller)
        } else {
            Err(caller.refused(caller.asked, None, None))
        }
    }
}
