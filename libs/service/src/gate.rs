//! The gate of the server: who calls is found out, and whoever may not call the method at all is turned away.

use std::sync::Arc;

use http::{Extensions, HeaderMap};
use tonic::Status;

use crate::{
    action::{Actions, ActionsError, Method, Methods},
    auth::{Authenticator, KeyError, purpose_of},
    caller::Caller,
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
        let purpose = purpose_of(headers).or_else(|| identity.purpose.clone());
        let asked = Asked::Method(method.number);
        let caller = Caller {
            identity,
            purpose,
            asked,
            permits: Arc::clone(&self.permits),
            token,
        };
        if self
            .permits
            .permit_somewhere(&caller.identity, caller.purpose.as_ref(), asked)
        {
            Ok(caller)
        } else {
            Err(caller.refused(asked, None, None))
        }
    }
}
