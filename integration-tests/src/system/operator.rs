//! What an operator's commands go by who work on the log's server.

use std::{fs, path::PathBuf};

use serde_json::json;

use super::System;

impl System {
    /// The file of settings with which a command comes in there.
    pub fn operators_settings(&self) -> PathBuf {
        let mut nats = json!({ "replicas": self.log_server.copies() });
        if let Some(doors) = &self.doors {
            let (user, password) = doors.services();
            nats["user"] = user.into();
            nats["password"] = password.into();
        }
        if let Some(trust) = &self.trust {
            trust.add_to(&mut nats);
        }
        let settings = json!({ "auth": { "mode": "local" }, "nats": nats });
        let settings = toml::Value::try_from(settings).unwrap();
        let file = self.settings_file("operator");
        fs::write(&file, toml::to_string(&settings).unwrap()).unwrap();
        file
    }
}
