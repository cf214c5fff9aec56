//! Scripts of the servers.

use bellwether_client::{ErrorCode, Outcome};

/// The time by the servers' clocks, in milliseconds since the Unix epoch.
pub(crate) const NOW: u64 = 1_795_000_000_000;

/// The behaviour of a server on one connection. A further command on the same connection takes the
/// next part of the script.
#[derive(Clone, Debug)]
pub(crate) enum Does {
    /// Nothing listens.
    Refuses,
    /// Answers that there is no room for another connection.
    HasNoRoom,
    /// The connection is never opened and never refused.
    SwallowsConnect,
    /// The connection opens; then nothing.
    SaysNothing,
    /// Closes with this code instead of saying hello.
    Closes(u16),
    /// Follows the server with this URL, or none it could name.
    Follows(Option<&'static str>),
    /// Belongs to another cluster.
    IsElsewhere,
    /// Executes the command.
    Executes,
    /// Executes the command, and the connection breaks before the reply.
    LosesReply,
    /// Executes the command, and the connection is closed with this code before the reply.
    LosesReplyWith(u16),
    /// Takes the command and never answers. Answers pings.
    GoesSilent,
    /// Takes the command, and nothing comes back on this connection any more, not even a pong.
    CutsOff,
    /// Executes the command, and nothing comes back on this connection any more.
    CutsOffAfterExecution,
    /// Closes with this code when the command arrives, and does not answer.
    HangsUp(u16),
    /// Answers the command as if it were the question for its outcome.
    AnswersAnother,
    /// Answers the hello with this error.
    RefusesHello(ErrorCode),
    /// Answers the command with this error, and with this outcome.
    Fails(ErrorCode, Outcome),
    /// Refuses the command for now and says after how many milliseconds it may come back.
    IsOverloaded(u64),
    /// Announces this error on the connection while the command executes.
    Announces(ErrorCode),
    /// Does that, and closes the connection this number of milliseconds after its answer.
    ClosesAfter(u64, Box<Does>),
    /// Does that, slowly.
    Slowly(Slowness, Box<Does>),
    /// Does that, and greets with this epoch instead of 7.
    InEpoch(u64, Box<Does>),
    /// Does that, and its clock shows this, in milliseconds since the Unix epoch.
    WithClock(u64, Box<Does>),
    /// Does the first until this number of milliseconds of the network's time has passed, then the
    /// second.
    Until(u64, Box<Does>, Box<Does>),
}

/// Time that each step takes in addition to a millisecond, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slowness {
    pub(crate) connect: u64,
    pub(crate) hello: u64,
    pub(crate) answer: u64,
}

impl Does {
    pub(crate) fn connecting_in(self, connect: u64) -> Self {
        let slowness = Slowness {
            connect,
            ..Slowness::default()
        };
        Self::Slowly(slowness, Box::new(self))
    }

    pub(crate) fn greeting_in(self, hello: u64) -> Self {
        let slowness = Slowness {
            hello,
            ..Slowness::default()
        };
        Self::Slowly(slowness, Box::new(self))
    }

    pub(crate) fn answering_in(self, answer: u64) -> Self {
        let slowness = Slowness {
            answer,
            ..Slowness::default()
        };
        Self::Slowly(slowness, Box::new(self))
    }

    pub(crate) fn closing_after(self, millis: u64) -> Self {
        Self::ClosesAfter(millis, Box::new(self))
    }

    pub(crate) fn in_epoch(self, epoch: u64) -> Self {
        Self::InEpoch(epoch, Box::new(self))
    }

    /// Its clock is wrong by this number of hours.
    pub(crate) fn hours_wrong(self, hours: i64) -> Self {
        let clock = NOW.checked_add_signed(hours * 3_600_000);
        Self::WithClock(clock.expect("the clock is after 1970"), Box::new(self))
    }

    pub(crate) fn until(self, millis: u64, then: Self) -> Self {
        Self::Until(millis, Box::new(self), Box::new(then))
    }
}
