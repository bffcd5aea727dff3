//! Values that must never be shown: keys, passwords, and the password inside a connection address.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What stands in place of a secret wherever a configuration is shown.
const MASK: &str = "***";

/// A secret. Neither `Debug` nor serialisation shows it; [`Secret::expose`] alone does.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself, to be handed to what needs it and to nothing that prints.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar).map(Self)
    }
}

/// Takes any scalar: a password of digits is read as a number by the environment's rules, and a
/// type error would print it.
struct Scalar;

impl de::Visitor<'_> for Scalar {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret as a string")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<String, E> {
        Ok(value.to_string())
    }
}

/// The address of a server, which may hold a user and a password (`scheme://user:password@host`).
///
/// Shown without them.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Address(String);

impl Address {
    /// Wraps an address.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The whole address, password included.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn masked(&self) -> String {
        // Several servers may stand in one address, separated by commas.
        self.0
            .split(',')
            .map(|one| match (one.find("://"), one.rfind('@')) {
                (Some(scheme), Some(at)) if at > scheme => {
                    format!("{}{MASK}{}", &one[..scheme + 3], &one[at..])
                }
                (None, Some(at)) => format!("{MASK}{}", &one[at..]),
                (Some(_) | None, _) => one.to_owned(),
            })
            .map(|one| match one.to_ascii_lowercase().find("password=") {
                Some(start) => format!("{}password={MASK}", &one[..start]),
                None => one,
            })
            .collect::<Vec<_>>()
            .join(",")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_user_and_password() {
        for (address, shown) in [
            (
                "postgres://u:p@db:5432/registry",
                "postgres://***@db:5432/registry",
            ),
            (
                "nats://a:b@n1:4222,nats://a:b@n2:4222",
                "nats://***@n1:4222,nats://***@n2:4222",
            ),
            ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
            ("u:p@host", "***@host"),
            (
                "postgres://db/x?password=hunter2",
                "postgres://db/x?password=***",
            ),
        ] {
            assert_eq!(Address::new(address).to_string(), shown);
        }
    }
}
