//! Every final error, as a person reads it.

use core::time::Duration;

use bellwether_client::{CommandText, ErrorCode, Failure, OneShot, Outcome, Stop};

use crate::network::{Network, command};
use crate::script::Does;
use crate::{A, B};

const OLD_ID: &str = "0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d8e";
const ELSEWHERE: &str = "ws://127.0.0.1:7003/v1";

async fn failure(
    scripts: &[&[Does]],
    command: &CommandText,
    change: impl FnOnce(OneShot<Network>) -> OneShot<Network>,
) -> Failure {
    let servers: Vec<(&str, &[Does])> = ["a", "b", "c"].into_iter().zip(scripts.iter().copied()).collect();
    let network = Network::new(&servers);
    let shot = network.one_shot().deadline_option("--timeout");
    let ended = change(shot).execute(command, |_| {}).await;
    ended.expect_err("there is no reply")
}

/// The first and the last line of what people read.
async fn says(does: &[&[Does]], summary: &str, hint: &str) -> Failure {
    let failure = failure(does, &command(), |shot| shot.cluster("here")).await;
    check(&failure, summary, hint);
    failure
}

fn check(failure: &Failure, summary: &str, hint: &str) {
    let lines = failure.lines();
    assert_eq!(lines.first().map(String::as_str), Some(summary), "{failure}");
    assert_eq!(lines.last().map(String::as_str), Some(hint), "{failure}");
}

fn refuses(code: ErrorCode) -> Does {
    Does::Fails(code, Outcome::NotExecuted)
}

#[tokio::test(start_paused = true)]
async fn mongodb_needed_longer() {
    let late = refuses(ErrorCode::Deadline);
    let failure = says(
        &[&[late.clone().answering_in(8_740)]],
        "not executed: MongoDB needed longer than the 9.0 s of --timeout, for this command or those before it; \
         ws://a:1/v1 deadline: no",
        "Nothing was changed. Raise --timeout, or make the command cheaper: an index, a limit.",
    )
    .await;
    assert_eq!((failure.stop, failure.code()), (Stop::NeededLonger, "deadline"));

    let five_minutes = Duration::from_secs(300);
    // Four times all that a server allows, then the rest of the time.
    let rest = late.clone().answering_in(59_450);
    let late = late.answering_in(60_000).until(239_000, rest);
    let failure = failure_with_deadline(&[&[late]], five_minutes).await;
    check(
        &failure,
        "not executed: MongoDB needed longer than the 60.0 s that the servers allow for one try, for this command or those \
         before it; ws://a:1/v1 deadline: no",
        "Nothing was changed. A command that needs longer by itself must be cheaper (an index, a limit) or divided.",
    );
    assert_eq!((failure.stop, failure.passes), (Stop::NeededLonger, 5));

    let failure = failure_with_deadline(&[&[Does::GoesSilent]], Duration::from_secs(9)).await;
    let id = failure.id.unwrap();
    check(
        &failure,
        "outcome unknown: MongoDB needed longer than the 9.0 s of --timeout, for this command or those before it",
        &format!(
            "It may or may not have been executed. Ask again with the id {id}: it runs if it had not, and its first reply \
             comes back if it had. Raise --timeout for that."
        ),
    );
}

async fn failure_with_deadline(does: &[&[Does]], deadline: Duration) -> Failure {
    failure(does, &command(), |shot| shot.deadline(deadline)).await
}

#[tokio::test(start_paused = true)]
async fn nobody_is_there() {
    says(
        &[&[Does::Refuses], &[Does::Refuses]],
        "not executed: no server of the list could be reached within 8.9 s (20 passes over the list)",
        "Nothing was changed. Check the list of servers, and that they run; then send it again.",
    )
    .await;
    says(
        &[&[Does::Refuses], &[Does::Follows(None)]],
        "not executed: no server of the list was coordinator within 8.9 s (20 passes over the list)",
        "Nothing was changed. Send it again once a coordinator is reachable.",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_list_names_no_coordinator() {
    let follower: &[Does] = &[Does::Follows(Some(ELSEWHERE))];
    let summary = "not executed: s9 at 127.0.0.1:7003 is coordinator and is not on your list";
    let hint = "Nothing was changed. Add s9 at 127.0.0.1:7003 to the list of servers.";
    let failure = says(&[follower, follower], summary, hint).await;
    assert_eq!(
        (failure.stop, failure.code()),
        (Stop::Deadline, "not_coordinator")
    );
    let minute = Duration::from_secs(60);
    let network = Network::new(&[("a", follower), ("b", follower)]);
    let failure = network
        .run(network.one_shot().deadline(minute))
        .await
        .unwrap_err();
    check(&failure, summary, hint);
    assert_eq!(failure.stop, Stop::NotListed);
    assert!(failure.took < minute / 2, "{:?}", failure.took);

    // The one that cannot be reached may become coordinator.
    let failure = says(&[follower, &[Does::Refuses]], summary, hint).await;
    assert_eq!(failure.stop, Stop::Deadline);

    // A coordinator that is on the list under another address, as its id says.
    let reached_once = [Does::Refuses, Does::Follows(None), Does::Refuses];
    let network = Network::new(&[("s9", &reached_once), ("a", follower)]);
    let failure = network.run(network.one_shot()).await.unwrap_err();
    assert!(failure.unlisted.is_none(), "{failure:?}");

    // A coordinator that died together with MongoDB's primary is named until another is elected.
    let elected = Does::Follows(Some(ELSEWHERE)).until(13_000, Does::Executes);
    let network = Network::new(&[("a", &[elected])]);
    network.run(network.one_shot().deadline(minute)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_server_belongs_to_another_cluster() {
    for other in [
        Does::IsElsewhere,
        Does::Closes(4403),
        Does::RefusesHello(ErrorCode::WrongCluster),
    ] {
        let failure = says(
            &[core::slice::from_ref(&other), core::slice::from_ref(&other)],
            "not executed: no server of the list belongs to the cluster \"here\"",
            "Nothing was changed. Check the list of servers and the cluster's name.",
        )
        .await;
        assert_eq!((failure.stop, failure.passes), (Stop::NoUse, 1));
    }
    let failure = says(
        &[&[Does::IsElsewhere], &[Does::Closes(4406)]],
        "not executed: no server of the list is one this client can use",
        "Nothing was changed. Check the list of servers and the cluster's name.",
    )
    .await;
    assert_eq!(failure.stop, Stop::NoUse);
}

#[tokio::test(start_paused = true)]
async fn the_origin_is_not_allowed() {
    says(
        &[&[Does::Closes(4405)]],
        "not executed: ws://a:1/v1 closed before the command was sent: the server does not let this page connect (close code 4405)",
        "Nothing was changed. Start the servers with --allow-origin and the origin of this page.",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_coordinator_could_not() {
    says(
        &[&[Does::IsOverloaded(500)], &[Does::Follows(Some(A))]],
        "not executed: ws://a:1/v1 had no room for it within 8.9 s (21 passes over the list)",
        "Nothing was changed. Send it again later: the servers have more commands than they can execute.",
    )
    .await;
    says(
        &[&[refuses(ErrorCode::DatabaseUnavailable)]],
        "not executed: no reply within 8.9 s (20 passes over the list); ws://a:1/v1 database_unavailable: no",
        "Nothing was changed. Send it again.",
    )
    .await;
    let failure = failure(&[&[Does::GoesSilent, Does::SaysNothing]], &command(), |shot| {
        shot.deadline(Duration::from_secs(8))
    })
    .await;
    let id = failure.id.unwrap();
    check(
        &failure,
        "outcome unknown: ws://a:1/v1 fell silent, and no other server became coordinator within 8.0 s (1 pass over the list)",
        &format!(
            "It may or may not have been executed. Ask again with the id {id}: it runs if it had not, and its first reply \
             comes back if it had."
        ),
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_refused_the_command() {
    for code in [
        ErrorCode::BadCommand,
        ErrorCode::CommandNotAllowed,
        ErrorCode::TooDeep,
        ErrorCode::ResultTooLarge,
        ErrorCode::Mongo,
        ErrorCode::BadFrame,
    ] {
        says(
            &[&[refuses(code)]],
            &format!("not executed: ws://a:1/v1 {code}: no"),
            "Nothing was changed. Correct the command and send it again.",
        )
        .await;
        let failure = failure(&[&[refuses(code)]], &command(), |shot| {
            shot.ask_again(OLD_ID.parse().unwrap())
        })
        .await;
        if !code.settles_earlier_attempts() {
            check(
                &failure,
                &format!("outcome unknown: ws://a:1/v1 {code}: no"),
                &format!(
                    "An earlier try may or may not have had its effect. This answer does not say, and the next would be the \
                     same. Ask for the outcome of the id {OLD_ID}."
                ),
            );
            assert!(!failure.can_get_better());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_id_is_no_good() {
    let ask_again = |shot: OneShot<Network>| shot.ask_again(OLD_ID.parse().unwrap());
    let reused = failure(&[&[refuses(ErrorCode::IdReused)]], &command(), ask_again).await;
    check(
        &reused,
        &format!(
            "not executed: the id {OLD_ID} belongs to another command: the text differs from the one that was sent with it"
        ),
        "Nothing was changed. With this id, send exactly the text that was sent first; a new command needs an id of its own.",
    );
    assert_eq!(
        (reused.stop, reused.outcome),
        (Stop::Refused, Outcome::NotExecuted)
    );

    let expired = failure(&[&[refuses(ErrorCode::IdExpired)]], &command(), ask_again).await;
    check(
        &expired,
        "outcome unknown: ws://a:1/v1 id_expired: no",
        "It may or may not have been executed, and the servers no longer know: they remember an id for a limited time. \
         Look at the data before you send it as a new command.",
    );
    assert!(!expired.can_get_better());
}

#[tokio::test(start_paused = true)]
async fn the_message_is_too_long() {
    let long = format!(
        r#"{{"insert":"{}"}}"#,
        "x".repeat(bellwether_protocol::MAX_MESSAGE_BYTES)
    );
    let unsent = failure(&[&[Does::Executes]], &long.parse().unwrap(), |shot| shot).await;
    let bytes = bellwether_protocol::MAX_MESSAGE_BYTES + 105;
    check(
        &unsent,
        &format!("not executed: ws://a:1/v1 accepts 1048576 bytes at most; the command takes {bytes}"),
        "Nothing was changed. Correct the command and send it again.",
    );
    // As a proxy with a smaller limit does it: it may be the reply that it found too long.
    let network = Network::new(&[("a", &[Does::HangsUp(1009)]), ("b", &[Does::Executes])]);
    let unread = network.run(network.one_shot()).await.unwrap_err();
    assert_eq!((unread.stop, unread.outcome), (Stop::Refused, Outcome::Unknown));
    let id = unread.id.expect("it was sent").text();
    check(
        &unread,
        "outcome unknown: ws://a:1/v1 received the command, but no answer came: the message was too large for it (close code 1009)",
        &format!(
            "An earlier try may or may not have had its effect. This answer does not say, and the next would be the same. Ask for the outcome of the id {id}."
        ),
    );
}

#[tokio::test(start_paused = true)]
async fn the_reply_to_a_read_is_too_long_for_a_proxy() {
    let find: CommandText = r#"{"find":"notes"}"#.parse().unwrap();
    let failure = failure(&[&[Does::HangsUp(1009)]], &find, |shot| shot).await;
    check(
        &failure,
        "not executed: ws://a:1/v1 received the command, but no answer came: the message was too large for it (close code 1009)",
        "Nothing was changed: the command only reads. Ask for less, or raise the limit of the proxy that found the message too long.",
    );
}

#[tokio::test(start_paused = true)]
async fn the_server_blames_the_client() {
    says(
        &[&[Does::HangsUp(4400)]],
        "not executed: ws://a:1/v1 received the command, but no answer came: the server did not understand the client (close code 4400)",
        "Nothing was changed. The client and the server do not understand each other: use versions that belong together.",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn it_was_executed_and_there_is_no_reply() {
    let hint = "It has had its effect. Do not send it again as a new command.";
    let without_room = Does::Fails(ErrorCode::Overloaded, Outcome::Executed);
    says(
        &[&[without_room, Does::Refuses]],
        "executed, but there is no reply: no server of the list could be reached within 8.9 s (20 passes over the list)",
        hint,
    )
    .await;
    says(
        &[&[Does::Fails(ErrorCode::ReplyNotKept, Outcome::Executed)]],
        "executed, but there is no reply: ws://a:1/v1 reply_not_kept: no",
        hint,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_read_has_no_effect() {
    let find: CommandText = r#"{"find":"notes"}"#.parse().unwrap();
    let hint = "Nothing was changed: the command only reads. Send it again.";
    for does in [
        &[Does::LosesReply, Does::LosesReply] as &[Does],
        &[Does::Fails(ErrorCode::Fenced, Outcome::Unknown)],
    ] {
        let lost = failure(&[does, &[Does::Follows(Some(A))]], &find, |shot| shot).await;
        assert_eq!(lost.outcome, Outcome::NotExecuted);
        assert!(lost.summary().starts_with("no reply: no reply within"), "{lost}");
        check(&lost, &lost.summary(), hint);
        assert!(
            lost.attempts
                .iter()
                .all(|tried| tried.outcome() == Outcome::NotExecuted)
        );
    }
    let again = failure(&[&[Does::Refuses]], &find, |shot| {
        shot.ask_again(OLD_ID.parse().unwrap())
    })
    .await;
    assert_eq!(again.outcome, Outcome::NotExecuted);
}

#[tokio::test(start_paused = true)]
async fn the_caller_stopped_waiting() {
    for (text, summary, hint) in [
        (
            r#"{"find":"notes"}"#,
            "no reply: cancelled after 1.5 s",
            "Nothing was changed: the command only reads.",
        ),
        (
            r#"{"insert":"notes"}"#,
            "outcome unknown: cancelled after 1.5 s",
            "It may or may not have been executed.",
        ),
    ] {
        let network = Network::new(&[("a", &[Does::GoesSilent]), ("b", &[Does::Follows(Some(B))])]);
        let cancelled = tokio::time::sleep(Duration::from_millis(1_500));
        let shot = network.one_shot();
        let ended = shot
            .execute_until(cancelled, &text.parse().unwrap(), |_| {})
            .await;
        let failure = ended.unwrap_err();
        assert_eq!(failure.summary(), summary);
        assert!(failure.hint().starts_with(hint), "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_answers_what_was_not_asked() {
    let network = Network::new(&[("a", &[Does::AnswersAnother, Does::Executes])]);
    network.run(network.one_shot()).await.unwrap();
}
