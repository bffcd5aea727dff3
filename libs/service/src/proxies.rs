//! From where calls come that proxies pass on, and whose word is taken for that.
//!
//! A proxy adds to `x-forwarded-for` the address of whoever it has the call from, behind what stands there already. So the
//! header is as true, from its end on, as the proxies that wrote it are trusted; what stands before that anybody may have made
//! up.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{Extensions, HeaderMap};
use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};

/// The header in which proxies say from whom they have a call.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// More proxies than these, one behind the other, are not believed.
const MOST_PROXIES: usize = 16;

/// How settings call a proxy in the service's own pod.
const SIDECAR: &str = "sidecar";

/// The bits of an IPv6 address before the IPv4 address that it stands for.
const MAPPED: u8 = 96;

/// A proxy whose word is taken for from where calls come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TrustedProxy {
    /// One beside the service, in its pod or on its machine: it calls from an address that is the service's own, too.
    Sidecar,
    /// Each within a network.
    Within(IpNet),
}

/// What is written is no proxy.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no proxy: write `sidecar`, an address, or a network as 10.0.0.0/8")]
pub struct NoProxy(String);

impl TryFrom<String> for TrustedProxy {
    type Error = NoProxy;

    fn try_from(text: String) -> Result<Self, NoProxy> {
        if text == SIDECAR {
            return Ok(Self::Sidecar);
        }
        let alone = text.parse::<IpAddr>().map(IpNet::from);
        let network = alone.or_else(|_| text.parse::<IpNet>());
        Ok(Self::Within(canonical(network.map_err(|_| NoProxy(text))?)))
    }
}

impl From<TrustedProxy> for String {
    fn from(proxy: TrustedProxy) -> Self {
        match proxy {
            TrustedProxy::Sidecar => SIDECAR.to_owned(),
            TrustedProxy::Within(network) => network.to_string(),
        }
    }
}

/// Addresses are compared as what they stand for, and so are networks.
fn canonical(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V4(_) => None,
        IpNet::V6(network) => {
            let address = network.addr().to_ipv4_mapped();
            address.zip(network.prefix_len().checked_sub(MAPPED))
        }
    };
    let mapped = mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    mapped.map_or(network, IpNet::V4)
}

/// From where a call comes: the peer's address, or where that is a trusted proxy's, the one that it has the call from. None
/// where the connection has no address.
pub(crate) fn origin(
    connection: &Extensions,
    headers: &HeaderMap,
    trusted: &[TrustedProxy],
) -> Option<IpAddr> {
    let plain = connection.get::<TcpConnectInfo>();
    let secured = connection.get::<TlsConnectInfo<TcpConnectInfo>>();
    let ends = plain.or(secured.map(TlsConnectInfo::get_ref))?;
    let ip = |end: SocketAddr| end.ip().to_canonical();
    let peer = ip(ends.remote_addr()?);
    let beside = peer.is_loopback() || ends.local_addr().map(ip) == Some(peer);
    let is_proxy = within(trusted, peer) || beside && trusted.contains(&TrustedProxy::Sidecar);
    if !is_proxy {
        return Some(peer);
    }
    Some(said(headers, trusted).unwrap_or(peer))
}

fn within(trusted: &[TrustedProxy], address: IpAddr) -> bool {
    trusted.iter().any(|proxy| match proxy {
        TrustedProxy::Sidecar => false,
        TrustedProxy::Within(network) => network.contains(&address),
    })
}

/// Whom trusted proxies name, the last of them first: the first who is none of them, or else the farthest of them. None where
/// they don't say, or what they say is no address.
fn said(headers: &HeaderMap, trusted: &[TrustedProxy]) -> Option<IpAddr> {
    let values = headers.get_all(FORWARDED_FOR).iter().rev();
    let named = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    let mut farthest = None;
    for (proxies, one) in named.enumerate() {
        // Each for itself: what a caller has written before it need not be text.
        let one = address(str::from_utf8(one).ok()?.trim())?;
        if !within(trusted, one) {
            return Some(one);
        }
        if proxies == MOST_PROXIES {
            return None;
        }
        farthest = Some(one);
    }
    farthest
}

/// An address as proxies write it: alone, or with the port.
fn address(text: &str) -> Option<IpAddr> {
    let alone = text.parse::<IpAddr>().ok();
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    let in_brackets = || {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        Some(IpAddr::V6(inner.parse::<Ipv6Addr>().ok()?))
    };
    let address = alone.or_else(with_port).or_else(in_brackets)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests;
