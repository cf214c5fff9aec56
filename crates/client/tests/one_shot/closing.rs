//! Connections that the other side closes: each close code has a meaning for the command and for
//! the next step.

use bellwether_client::{CommandText, Outcome, Stop};
use bellwether_protocol::CloseCode;

use crate::B;
use crate::network::Network;
use crate::script::Does;

/// Those of the protocol, some that proxies send, and one that no document defines.
fn codes() -> impl Iterator<Item = u16> {
    let own = CloseCode::ALL.into_iter().map(CloseCode::code);
    own.chain([1001, 1006, 1008, 1011, 1014, 3000, 4999])
}

/// No proxy sends these, and a server that sends them does not execute the command.
const NOT_EXECUTED: [u16; 4] = [4400, 4401, 4408, 4410];
const FINAL: [u16; 4] = [1009, 4400, 4401, 4429];
/// They say before the command is sent that this server never takes it from this client.
const REFUSE_THE_CLIENT: [u16; 6] = [4400, 4401, 4403, 4405, 4406, 4429];

#[tokio::test(start_paused = true)]
async fn only_codes_of_the_protocol_rule_out_an_effect() {
    let read: CommandText = r#"{"find":"notes"}"#.parse().unwrap();
    for code in codes() {
        let network = || Network::new(&[("a", &[Does::HangsUp(code), Does::Refuses])]);
        let failure = network().run(network().one_shot()).await.unwrap_err();
        let outcome = match NOT_EXECUTED.contains(&code) {
            true => Outcome::NotExecuted,
            false => Outcome::Unknown,
        };
        assert_eq!(failure.outcome, outcome, "{code}");

        let failure = network().one_shot().execute(&read, |_| {}).await.unwrap_err();
        assert_eq!(failure.outcome, Outcome::NotExecuted, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_code_of_a_proxy_hides_no_effect() {
    for code in codes().filter(|code| *code < 4000) {
        let network = Network::new(&[("a", &[Does::LosesReplyWith(code), Does::Refuses])]);
        let failure = network.run(network.one_shot()).await.unwrap_err();
        assert_eq!(
            (failure.outcome, network.executions()),
            (Outcome::Unknown, 1),
            "{code}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_the_next_try_would_have_too_is_final() {
    for code in codes() {
        let network = Network::new(&[("a", &[Does::HangsUp(code)]), ("b", &[Does::Executes])]);
        match network.run(network.one_shot()).await {
            Ok(executed) => {
                assert!(!FINAL.contains(&code), "{code}");
                assert_eq!(executed.url.as_str(), B);
                let arrived = network.arrived();
                assert_eq!((arrived.len(), arrived[0].1), (2, arrived[1].1), "one id");
            }
            Err(failure) => {
                assert!(FINAL.contains(&code), "{code}");
                assert_eq!((failure.stop, failure.passes), (Stop::Refused, 1), "{code}");
                assert_eq!(network.asked(), "a");
                assert!(!failure.can_get_better());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn before_the_command_is_sent_every_code_leads_to_the_next_server() {
    for code in codes() {
        let network = Network::new(&[("a", &[Does::Closes(code)]), ("b", &[Does::Executes])]);
        assert!(network.run(network.one_shot()).await.is_ok(), "{code}");
        assert_eq!(network.asked(), "a b");

        let closes: &[Does] = &[Does::Closes(code)];
        let network = Network::new(&[("a", closes), ("b", closes)]);
        let failure = network.run(network.one_shot()).await.unwrap_err();
        let stop = match REFUSE_THE_CLIENT.contains(&code) {
            true => Stop::NoUse,
            false => Stop::Deadline,
        };
        assert_eq!(
            (failure.stop, failure.outcome),
            (stop, Outcome::NotExecuted),
            "{code}"
        );
    }
}
