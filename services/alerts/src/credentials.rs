//! The passwords of devices: each follows from the device's registration and a key of the service, so that a retry of the
//! registration is answered with the same one, and a device that is registered again has another.

use service::Settings;
use service::derived_passwords::{DerivedPasswords, NoPasswordKey};
use uuid::Uuid;

use crate::signal::DeviceId;

/// What the key is for.
const PURPOSE: &[u8] = b"eldercare.alerts.device-credential";

/// Derives passwords.
#[derive(Clone, Debug)]
pub struct Credentials(DerivedPasswords);

impl Credentials {
    /// Under keys of their own, derived from `vault.index_key` and `vault.previous_index_keys`.
    ///
    /// # Errors
    /// If no index key is configured.
    pub fn from_settings(settings: &Settings) -> Result<Self, NoPasswordKey> {
        DerivedPasswords::from_settings(settings, PURPOSE).map(Self)
    }

    /// Under a key, beside what followed from former ones.
    #[must_use]
    pub fn keyed<'key>(current: &[u8], former: impl IntoIterator<Item = &'key [u8]>) -> Self {
        Self(DerivedPasswords::keyed(PURPOSE, current, former))
    }

    /// The password of a registration.
    #[must_use]
    pub fn of(&self, device: &DeviceId, registration: Uuid) -> String {
        self.0.of(device.as_str(), registration)
    }

    /// Whether this is the password of a registration; takes as long for any other one.
    #[must_use]
    pub fn admits(&self, device: &DeviceId, registration: Uuid, password: &str) -> bool {
        self.0.admits(device.as_str(), registration, password)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_that_devices_have_stay_theirs() {
        let credentials = Credentials::keyed(b"a key", []);
        let device: DeviceId = "SB0001".parse().unwrap();
        let registration = Uuid::from_u128(1);
        let password = credentials.of(&device, registration);
        assert_eq!(password, "XBYghUjBN5c_jU75aHEdVNxyRPHKCuFI-x4mymJmAMk");
        assert!(credentials.admits(&device, registration, &password));
    }
}
