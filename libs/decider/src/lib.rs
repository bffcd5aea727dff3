//! How a rule of the business decides: a request and what is known so far give facts, or a refusal that says why.
//!
//! A [`Decider`] is a pure value. It does no I/O and reads no clock: time and new ids arrive inside the
//! command, so that the same facts and the same command give the same answer for ever. Whoever loads the
//! facts and writes the new ones (the event log) knows deciders only by this trait.

/// Decides commands against a state that is folded from events.
///
/// `Default` is the state before anything has happened.
///
/// ```
/// use decider::Decider;
///
/// #[derive(Debug, Default, Clone)]
/// struct Door {
///     open: bool,
/// }
///
/// enum Command {
///     Open,
/// }
///
/// #[derive(Debug, PartialEq)]
/// enum Event {
///     Opened,
/// }
///
/// #[derive(Debug, PartialEq)]
/// enum Refusal {
///     AlreadyOpen,
/// }
///
/// impl Decider for Door {
///     type Command = Command;
///     type Event = Event;
///     type Refusal = Refusal;
///
///     fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
///         match command {
///             Command::Open if self.open => Err(Refusal::AlreadyOpen),
///             Command::Open => Ok(vec![Event::Opened]),
///         }
///     }
///
///     fn evolve(self, event: &Event) -> Self {
///         match event {
///             Event::Opened => Self { open: true },
///         }
///     }
/// }
///
/// use decider::testing::{given, given_nothing};
///
/// given_nothing::<Door>().when(Command::Open).then([Event::Opened]);
/// given::<Door>([Event::Opened]).when(Command::Open).then_refused(Refusal::AlreadyOpen);
/// ```
pub trait Decider: Default + Clone + Send + Sync + 'static {
    /// A request: what somebody wants to happen, with everything needed to decide it.
    type Command;
    /// A fact in the past.
    type Event;
    /// Why a request was turned down.
    type Refusal;

    /// The facts that the command brings about, in order; none when it changes nothing.
    ///
    /// # Errors
    ///
    /// The refusal, when the rules do not allow the command in this state. It leaves no trace.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Refusal>;

    /// The state after the event. Never fails: what has happened has happened.
    #[must_use]
    fn evolve(self, event: &Self::Event) -> Self;

    /// The state after all the events, oldest first.
    #[must_use]
    fn evolve_all<'event>(self, events: impl IntoIterator<Item = &'event Self::Event>) -> Self
    where
        Self::Event: 'event,
    {
        events.into_iter().fold(self, Self::evolve)
    }
}

pub mod testing;
