//! Why somebody could not be told, and whether another attempt may help.

use std::fmt;

/// How an attempt ended by which nobody was told, as far as is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Another attempt may help.
    #[error("{0}")]
    Passing(Reason),
    /// No further attempt by this channel to this address will help.
    #[error("{0}")]
    Final(Reason),
}

impl Failure {
    /// Why.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Passing(reason) | Self::Final(reason) => reason,
        }
    }

    /// Whether another attempt may help.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::Passing(_))
    }
}

impl From<Reason> for Failure {
    /// Each reason is either passing or final, always the same.
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Timeout
            | Reason::Unreachable
            | Reason::Untrusted
            | Reason::CircuitOpen
            | Reason::Overloaded
            | Reason::ReceiverFailed
            | Reason::BrokenAnswer => Self::Passing(reason),
            Reason::Unauthorized
            | Reason::Refused
            | Reason::AddressInvalid
            | Reason::AddressForbidden
            | Reason::NotConfigured => Self::Final(reason),
        }
    }
}

/// Why an attempt failed. Says nothing of who was to be told, where, or of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No answer in time.
    Timeout,
    /// No connection: the name is unknown, or nobody listens.
    Unreachable,
    /// The receiver's certificate does not convince.
    Untrusted,
    /// The receiver failed again and again, and is left alone for a while.
    CircuitOpen,
    /// The receiver can't take it now: 408, 425 or 429.
    Overloaded,
    /// The receiver failed: 5xx.
    ReceiverFailed,
    /// What came back is no answer, or not the documented one.
    BrokenAnswer,
    /// The receiver does not take it from this system: 401 or 403.
    Unauthorized,
    /// The receiver does not take it: any other status. Redirects are not followed, and count here.
    Refused,
    /// The address is none for this channel.
    AddressInvalid,
    /// The address leads to where nobody is to be told, such as the machine's own metadata.
    AddressForbidden,
    /// This system has nothing that serves the channel.
    NotConfigured,
}

impl Reason {
    /// All reasons.
    pub const ALL: &'static [Self] = &[
        Self::Timeout,
        Self::Unreachable,
        Self::Untrusted,
        Self::CircuitOpen,
        Self::Overloaded,
        Self::ReceiverFailed,
        Self::BrokenAnswer,
        Self::Unauthorized,
        Self::Refused,
        Self::AddressInvalid,
        Self::AddressForbidden,
        Self::NotConfigured,
    ];

    /// The code in events, metrics and APIs; it never changes.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Timeout => "TIMEOUT",
            Self::Unreachable => "UNREACHABLE",
            Self::Untrusted => "UNTRUSTED",
            Self::CircuitOpen => "CIRCUIT_OPEN",
            Self::Overloaded => "OVERLOADED",
            Self::ReceiverFailed => "RECEIVER_FAILED",
            Self::BrokenAnswer => "BROKEN_ANSWER",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Refused => "REFUSED",
            Self::AddressInvalid => "ADDRESS_INVALID",
            Self::AddressForbidden => "ADDRESS_FORBIDDEN",
            Self::NotConfigured => "NOT_CONFIGURED",
        }
    }

    /// For people.
    #[must_use]
    pub const fn english(self) -> &'static str {
        match self {
            Self::Timeout => "the receiver did not answer in time",
            Self::Unreachable => "the receiver can't be reached",
            Self::Untrusted => "the receiver's certificate is not trusted",
            Self::CircuitOpen => "the receiver failed repeatedly and is left alone for a while",
            Self::Overloaded => "the receiver can't take it now",
            Self::ReceiverFailed => "the receiver failed",
            Self::BrokenAnswer => "the receiver's answer is not the documented one",
            Self::Unauthorized => "the receiver takes nothing from this system",
            Self::Refused => "the receiver refused it",
            Self::AddressInvalid => "the address can't be used for this channel",
            Self::AddressForbidden => "the address leads to where nobody may be told",
            Self::NotConfigured => "the channel is not configured",
        }
    }

    /// For people, in Chinese.
    #[must_use]
    pub const fn chinese(self) -> &'static str {
        match self {
            Self::Timeout => "接收方超时未应答",
            Self::Unreachable => "无法连接接收方",
            Self::Untrusted => "接收方证书不可信",
            Self::CircuitOpen => "接收方连续失败，暂停发送",
            Self::Overloaded => "接收方暂时无法受理",
            Self::ReceiverFailed => "接收方出错",
            Self::BrokenAnswer => "接收方的应答不符合约定",
            Self::Unauthorized => "接收方未授权本系统",
            Self::Refused => "接收方拒收",
            Self::AddressInvalid => "地址不适用于该通知方式",
            Self::AddressForbidden => "地址指向禁止访问的位置",
            Self::NotConfigured => "该通知方式未配置",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_reason_has_a_code_and_a_text_of_its_own() {
        let of = |text: fn(Reason) -> &'static str| {
            let texts: HashSet<_> = Reason::ALL.iter().map(|reason| text(*reason)).collect();
            texts.len()
        };
        let all = Reason::ALL.len();
        assert_eq!(
            [
                of(Reason::code),
                of(Reason::english),
                of(Reason::chinese),
                HashSet::<Reason>::from_iter(Reason::ALL.iter().copied()).len()
            ],
            [all; 4]
        );
    }

    #[test]
    fn a_failure_shows_its_code() {
        let failure = Failure::from(Reason::CircuitOpen);
        assert!(failure.is_passing());
        assert_eq!(failure.to_string(), "CIRCUIT_OPEN");
        assert!(!Failure::from(Reason::Refused).is_passing());
    }
}
