//! To which addresses a request may go: other systems' and this network's, not where a machine keeps its own secrets.
//!
//! Private networks are allowed, since those of government are private. What is never a receiver is refused by its
//! address, also where a name leads there: link-local addresses and those at which clouds tell a machine about itself.

use std::{
    error::Error,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

use crate::Reason;

/// The most characters of a URL.
const LONGEST: usize = 2_048;

/// Where clouds tell a machine about itself outside of the link-local range: of Alibaba Cloud, and of AWS on IPv6.
const METADATA: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// A URL that a request may go to, as far as the URL itself tells. Personal: not shown.
pub(crate) struct Destination {
    pub(crate) url: Url,
    /// Scheme, host and port.
    pub(crate) origin: String,
}

impl Destination {
    /// By what somebody registered or configured.
    pub(crate) fn parse(address: &str, plain_http: bool) -> Result<Self, Reason> {
        if address.len() > LONGEST {
            return Err(Reason::AddressInvalid);
        }
        let url = Url::parse(address).map_err(|_| Reason::AddressInvalid)?;
        let host = url.host_str().ok_or(Reason::AddressInvalid)?;
        let literal = literal(host);
        let scheme_will_do = match url.scheme() {
            "https" => true,
            "http" => {
                plain_http || is_localhost(host) || literal.is_some_and(|ip| ip.is_loopback())
            }
            _ => false,
        };
        // What stands before an `@` would go out as a password in the clear.
        let has_user = !url.username().is_empty() || url.password().is_some();
        if !scheme_will_do || has_user {
            return Err(Reason::AddressInvalid);
        }
        // Names are looked at when they are looked up.
        if literal.is_some_and(is_forbidden) {
            return Err(Reason::AddressForbidden);
        }
        let origin = url.origin().ascii_serialization();
        Ok(Self { url, origin })
    }
}

fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

fn is_localhost(host: &str) -> bool {
    host.trim_end_matches('.').eq_ignore_ascii_case("localhost")
}

/// Whether nobody is to be told there.
fn is_forbidden(ip: IpAddr) -> bool {
    if METADATA.contains(&ip) {
        return true;
    }
    match ip {
        IpAddr::V4(ip) => {
            ip.is_link_local() || ip.is_multicast() || ip.is_broadcast() || ip.octets()[0] == 0
        }
        IpAddr::V6(ip) => {
            ip.is_unicast_link_local()
                || ip.is_multicast()
                || ip.is_unspecified()
                || within(ip).is_some_and(|ip| is_forbidden(ip.into()))
        }
    }
}

/// The IPv4 address that an IPv6 address leads to: mapped, through NAT64 (`64:ff9b::/96`) or through 6to4 (`2002::/16`).
fn within(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let (high, low) = match (a, b, c, d, e, f) {
        (0x64, 0xff9b, 0, 0, 0, 0) => (g, h),
        (0x2002, ..) => (b, c),
        _ => return ip.to_ipv4_mapped(),
    };
    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

/// A name leads to where nobody is to be told.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to where nobody is to be told")]
pub(crate) struct Forbidden;

/// Looks names up, and refuses those of which an address is forbidden. What it gives is what is connected to, so that a
/// name can't mean one thing when it is looked at and another when it is used.
pub(crate) struct Guarded<R>(pub(crate) Arc<R>);

impl<R: Resolve + 'static> Resolve for Guarded<R> {
    fn resolve(&self, name: Name) -> Resolving {
        let names = Arc::clone(&self.0);
        let local = is_localhost(name.as_str());
        Box::pin(async move {
            let found: Vec<SocketAddr> = names.resolve(name).await?.collect();
            // `localhost` may be spoken to without TLS, and so is nobody else.
            let refused =
                |at: &SocketAddr| is_forbidden(at.ip()) || local && !at.ip().is_loopback();
            if found.iter().any(refused) {
                return Err(Box::new(Forbidden) as Box<dyn Error + Send + Sync>);
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Names as this machine knows them.
pub(crate) struct SystemNames;

impl Resolve for SystemNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // Port 0 becomes that of the URL.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, expected: Result<&str, Reason>) {
        let found = Destination::parse(address, false).map(|destination| destination.origin);
        assert_eq!(
            found.as_deref().map_err(|reason| *reason),
            expected,
            "{address}"
        );
    }

    #[test]
    fn receivers_speak_https_or_are_on_this_machine() {
        check("https://hook.example/a?b=c", Ok("https://hook.example"));
        check("https://10.1.2.3:8443/", Ok("https://10.1.2.3:8443"));
        check("http://127.0.0.1:9000/", Ok("http://127.0.0.1:9000"));
        check("http://[::1]:9000/", Ok("http://[::1]:9000"));
        check("http://localhost:9000/", Ok("http://localhost:9000"));
        for address in [
            "http://hook.example/",
            "http://10.1.2.3/",
            "http://127.0.0.1.example/",
            "ftp://hook.example/",
            "https://user:secret@hook.example/",
            "https://",
            "hook.example",
            "13811178935",
            "",
            "file:///etc/passwd",
        ] {
            check(address, Err(Reason::AddressInvalid));
        }
        check(
            &format!("https://hook.example/{}", "x".repeat(LONGEST)),
            Err(Reason::AddressInvalid),
        );
        assert!(Destination::parse("http://10.1.2.3/", true).is_ok());
    }

    #[test]
    fn a_machines_own_secrets_are_out_of_reach() {
        for host in [
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "[fe80::1]",
            "[febf::1]",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::169.254.169.254]",
            "[2002:a9fe:a9fe::1]",
            "100.100.100.200",
            "[fd00:ec2::254]",
            "0.0.0.0",
            "[::]",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            check(&format!("https://{host}/"), Err(Reason::AddressForbidden));
        }
        // Government networks are private.
        for host in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "[fd12::1]",
        ] {
            assert!(Destination::parse(&format!("https://{host}/"), false).is_ok());
        }
    }
}
