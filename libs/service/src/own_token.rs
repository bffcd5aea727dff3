//! How long the token is good that a service shows to its peers, as operators see it: once it has ended, no peer answers.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Utc;
use opentelemetry::global;
use serde::Deserialize;

use crate::settings::{Auth, Secret, Settings};

/// Has each export of figures look at the token, where there is one to show.
pub(crate) fn watch(settings: &Settings) {
    let auth = &settings.auth;
    if auth.service_token.is_none() && auth.service_token_file.is_none() {
        return;
    }
    let meter = global::meter("eldercare.token");
    let looked_at = auth.clone();
    meter
        .i64_observable_gauge("eldercare.token.time_left")
        .with_unit("s")
        .with_description("For how long the service's own token is good; 0 where it can't be read")
        .with_callback(move |observer| {
            let left = life(&looked_at).map_or(0, |life| life.left(Utc::now().timestamp()));
            observer.observe(left, &[]);
        })
        .build();
    let looked_at = auth.clone();
    meter
        .i64_observable_gauge("eldercare.token.lifetime")
        .with_unit("s")
        .with_description("For how long it was issued")
        .with_callback(move |observer| {
            if let Some(whole) = life(&looked_at).and_then(Life::whole) {
                observer.observe(whole, &[]);
            }
        })
        .build();
}

/// From when and until when a token is good, as it says of itself. Whether it is good at all decide those to whom it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct Life {
    iat: Option<i64>,
    exp: i64,
}

impl Life {
    /// In seconds; less than 0 where it is over.
    fn left(self, now: i64) -> i64 {
        self.exp.saturating_sub(now)
    }

    fn whole(self) -> Option<i64> {
        self.iat.map(|issued| self.exp.saturating_sub(issued))
    }
}

/// Of the token that would be shown now.
fn life(auth: &Auth) -> Option<Life> {
    let token = match (&auth.service_token, &auth.service_token_file) {
        (Some(token), _) => token.clone(),
        (None, Some(path)) => Secret::new(std::fs::read_to_string(path).ok()?),
        (None, None) => return None,
    };
    let claims = token.expose().trim().split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    serde_json::from_slice(&claims).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Claims, TokenIssuer};

    fn token(until: i64, since: Option<i64>) -> String {
        let claims = Claims {
            exp: until,
            iat: since,
            ..Claims::system("visits", "platform")
        };
        TokenIssuer::generate().issue(&claims)
    }

    fn shown(token: &str) -> Auth {
        Auth {
            service_token: Some(Secret::new(token)),
            ..Auth::default()
        }
    }

    #[test]
    fn a_token_says_how_long_it_is_good_and_was_from_the_beginning() {
        let life = life(&shown(&token(5_000, Some(1_000)))).unwrap();
        assert_eq!(life.left(4_400), 600);
        assert_eq!(life.left(5_060), -60, "it is over");
        assert_eq!(life.whole(), Some(4_000));
    }

    #[test]
    fn one_that_does_not_say_since_when_has_an_end_all_the_same() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"visits","exp":5000}"#);
        let life = life(&shown(&format!("e30.{claims}.e30"))).unwrap();
        assert_eq!((life.left(4_400), life.whole()), (600, None));
    }

    #[test]
    fn a_file_is_read_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let auth = Auth {
            service_token_file: Some(file.clone()),
            ..Auth::default()
        };
        assert_eq!(life(&auth), None, "it is not there yet");
        std::fs::write(&file, format!(" {}\n", token(5_000, None))).unwrap();
        assert_eq!(life(&auth).unwrap().exp, 5_000);
        std::fs::write(&file, token(9_000, None)).unwrap();
        assert_eq!(life(&auth).unwrap().exp, 9_000);
    }

    #[test]
    fn what_is_no_token_has_no_end() {
        for text in ["", "opaque", "a.b.c", "e30.e30.e30"] {
            assert_eq!(life(&shown(text)), None, "{text}");
        }
    }
}
