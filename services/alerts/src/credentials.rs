//! The passwords of devices: each follows from the device's registration and a key of the service, so that none is written
//! down, a retry of the registration is answered with the same one, and a device that is registered again has another.

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
pub struct Credentials(Hmac<Sm3>);

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

impl Credentials {
    /// Under a key of their own, derived from `vault.index_key`.
    ///
    /// # Errors
    /// If no index key is configured.
    pub fn from_settings(settings: &Settings) -> Result<Self, NoCredentialKey> {
        let key = settings.vault.index_key.as_ref().ok_or(NoCredentialKey)?;
        Ok(Self::keyed(key.expose().as_bytes()))
    }

    /// Under a key that is kept.
    #[must_use]
    pub fn keyed(key: &[u8]) -> Self {
        let derived = mac(key).chain_update(PURPOSE).finalize().into_bytes();
        Self(mac(&derived))
    }

    /// The password of a registration.
    #[must_use]
    pub fn of(&self, device: &DeviceId, registration: Uuid) -> String {
        let password = self.digest(device, registration).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode(password)
    }

    /// Whether this is the password of a registration; takes as long for any other one.
    #[must_use]
    pub fn admits(&self, device: &DeviceId, registration: Uuid, password: &str) -> bool {
        let Ok(password) = URL_SAFE_NO_PAD.decode(password) else {
            return false;
        };
        self.digest(device, registration)
            .verify_slice(&password)
            .is_ok()
    }

    fn digest(&self, device: &DeviceId, registration: Uuid) -> Hmac<Sm3> {
        self.0
            .clone()
            .chain_update(registration.as_bytes())
            .chain_update(device.as_str())
    }
}

fn mac(key: &[u8]) -> Hmac<Sm3> {
    Hmac::new_from_slice(key).expect("a MAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_of_one_device_and_one_registration() {
        let credentials = Credentials::keyed(b"a key");
        let device: DeviceId = "SB0001".parse().unwrap();
        let other: DeviceId = "SB0002".parse().unwrap();
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let password = credentials.of(&device, first);
        assert_eq!(password.len(), 43);
        assert_eq!(password, credentials.of(&device, first));
        assert!(credentials.admits(&device, first, &password));
        assert!(!credentials.admits(&device, second, &password));
        assert!(!credentials.admits(&other, first, &password));
        assert!(!Credentials::keyed(b"another").admits(&device, first, &password));
        for wrong in ["", "=", "密码", &password[1..]] {
            assert!(!credentials.admits(&device, first, wrong));
        }
    }
}
