//! The passwords of devices: each follows from the device's registration and a key of the service, so that none is written
//! down, a retry of the registration is answered with the same one, and a device that is registered again has another.
//!
//! Where the key is changed, what followed from the former ones is admitted as long as these are configured.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use service::Settings;
use sm3::Sm3;
use uuid::Uuid;

use crate::signal::DeviceId;

/// What the key is for.
const PURPOSE: &[u8] = b"eldercare.alerts.device-credential";

/// There is no key to derive credentials from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`vault.index_key` is not configured: credentials of devices need it")]
pub struct NoCredentialKey;

/// Derives passwords.
#[derive(Clone)]
pub struct Credentials {
    current: Hmac<Sm3>,
    former: Vec<Hmac<Sm3>>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

impl Credentials {
    /// Under keys of their own, derived from `vault.index_key` and `vault.previous_index_keys`.
    ///
    /// # Errors
    /// If no index key is configured.
    pub fn from_settings(settings: &Settings) -> Result<Self, NoCredentialKey> {
        let vault = &settings.vault;
        let current = vault.index_key.as_ref().ok_or(NoCredentialKey)?;
        let former = vault.previous_index_keys.values();
        Ok(Self::keyed(
            current.expose().as_bytes(),
            former.map(|key| key.expose().as_bytes()),
        ))
    }

    /// Under a key, beside what followed from former ones.
    #[must_use]
    pub fn keyed<'key>(current: &[u8], former: impl IntoIterator<Item = &'key [u8]>) -> Self {
        Self {
            current: for_devices(current),
            former: former.into_iter().map(for_devices).collect(),
        }
    }

    /// The password of a registration.
    #[must_use]
    pub fn of(&self, device: &DeviceId, registration: Uuid) -> String {
        let password = digest(&self.current, device, registration);
        URL_SAFE_NO_PAD.encode(password.finalize().into_bytes())
    }

    /// Whether this is the password of a registration; takes as long for any other one.
    #[must_use]
    pub fn admits(&self, device: &DeviceId, registration: Uuid, password: &str) -> bool {
        let Ok(password) = URL_SAFE_NO_PAD.decode(password) else {
            return false;
        };
        // All are compared, so that the time does not tell which one it was.
        std::iter::once(&self.current)
            .chain(&self.former)
            .map(|key| digest(key, device, registration).verify_slice(&password))
            .fold(false, |admitted, verified| admitted | verified.is_ok())
    }
}

fn digest(key: &Hmac<Sm3>, device: &DeviceId, registration: Uuid) -> Hmac<Sm3> {
    key.clone()
        .chain_update(registration.as_bytes())
        .chain_update(device.as_str())
}

fn for_devices(key: &[u8]) -> Hmac<Sm3> {
    mac(&mac(key).chain_update(PURPOSE).finalize().into_bytes())
}

fn mac(key: &[u8]) -> Hmac<Sm3> {
    Hmac::new_from_slice(key).expect("a MAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_of_one_device_and_one_registration() {
        let credentials = Credentials::keyed(b"a key", []);
        let device: DeviceId = "SB0001".parse().unwrap();
        let other: DeviceId = "SB0002".parse().unwrap();
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let password = credentials.of(&device, first);
        assert_eq!(password.len(), 43);
        assert_eq!(password, credentials.of(&device, first));
        assert!(credentials.admits(&device, first, &password));
        assert!(!credentials.admits(&device, second, &password));
        assert!(!credentials.admits(&other, first, &password));
        assert!(!Credentials::keyed(b"another", []).admits(&device, first, &password));
        for wrong in ["", "=", "密码", &password[1..]] {
            assert!(!credentials.admits(&device, first, wrong));
        }
    }

    #[test]
    fn a_changed_key_shuts_nobody_out_while_the_former_one_is_configured() {
        let device: DeviceId = "SB0001".parse().unwrap();
        let registration = Uuid::from_u128(1);
        let password = Credentials::keyed(b"former", []).of(&device, registration);
        let changed = Credentials::keyed(b"current", [b"former".as_slice()]);
        assert!(changed.admits(&device, registration, &password));
        let own = changed.of(&device, registration);
        assert_ne!(own, password);
        assert!(changed.admits(&device, registration, &own));
        let over = Credentials::keyed(b"current", []);
        assert!(!over.admits(&device, registration, &password));
    }
}
