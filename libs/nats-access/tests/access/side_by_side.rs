//! Two services answer the server, each for its own users.

use std::sync::Arc;

use async_trait::async_trait;
use nats_access::{Admission, Credentials, DEPARTMENT_USERS, Grant, Unavailable};

use crate::place::{Place, Register};

/// A register of users whose names begin so, or of all others.
struct Named {
    departments: bool,
    register: Arc<Register>,
}

#[async_trait]
impl Admission for Named {
    fn concerns(&self, user: &str) -> bool {
        user.starts_with(DEPARTMENT_USERS) == self.departments
    }

    async fn admit(&self, shown: &Credentials) -> Result<Option<Grant>, Unavailable> {
        self.register.admit(shown).await
    }
}

#[tokio::test]
async fn each_service_answers_for_its_own_users_and_is_silent_about_others() {
    let place = Place::new().await;
    let register = |departments| {
        let register = Arc::<Register>::default();
        let named = Named {
            departments,
            register: Arc::clone(&register),
        };
        (register, Arc::new(named))
    };
    let ((devices, of_devices), (departments, of_departments)) = (register(false), register(true));
    let _first = place.answer_beside("devices", of_devices).await;
    let _second = place.answer_beside("departments", of_departments).await;
    devices.add("smoke-1");
    departments.add("department:health");
    // Each time: whoever were not silent would be the first now and then.
    for _ in 0..20 {
        place.let_in_over_nats("smoke-1").await;
        place.let_in_over_nats("department:health").await;
    }
    // What the other one knows counts for nothing.
    devices.add("department:police");
    departments.add("smoke-2");
    for user in ["department:police", "smoke-2"] {
        assert!(place.over_nats(user).await.is_err(), "{user}");
    }
    let shown = |register: &Register| register.shown.lock().unwrap().take().unwrap().user;
    assert_eq!(shown(&devices), "smoke-2");
    assert_eq!(shown(&departments), "department:police");
}
