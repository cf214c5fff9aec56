//! Properties that hold for the frames and the secrets of peers.

use core::fmt::Debug;

use bellwether_election::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::frame::{PeerChallenge, PeerHello, PeerProof, to_json};
use super::proof::{BYTES, Role, Session, Transcript};
use super::{PeerSecrets, PeerSecretsError};
use crate::client_url;

/// Length limit of a reason. The reason goes to the log and back to the other side.
const LONGEST_REASON: usize = 1024;

/// Checks a frame with this text: a hello, a challenge, a proof or a message of the election.
pub fn peer_frame(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    same_again::<PeerHello>(text);
    same_again::<Message>(text);
    if let Ok(PeerProof { proof }) = serde_json::from_str(text) {
        let again = to_json(&PeerProof { proof: proof.clone() });
        assert_eq!(
            serde_json::from_str::<PeerProof>(&again)
                .ok()
                .map(|again| again.proof),
            Some(proof)
        );
    }
    if let Ok(PeerChallenge { nonce }) = serde_json::from_str(text) {
        let again = to_json(&PeerChallenge { nonce: nonce.clone() });
        let read = serde_json::from_str::<PeerChallenge>(&again);
        assert_eq!(read.ok().map(|again| again.nonce), Some(nonce));
    }
    let (Ok(theirs), Ok(mut ours)) = (
        serde_json::from_str::<PeerHello>(text),
        serde_json::from_str::<PeerHello>(OURS),
    ) else {
        return;
    };
    assert!(theirs.check(&theirs).is_err(), "nobody is its own peer");
    for secret in [theirs.nonce.clone(), None] {
        ours.nonce = secret;
        let checked = ours.check(&theirs).and_then(|()| ours.check_secrecy(&theirs));
        match checked {
            Ok(()) => {
                assert_eq!((&theirs.cluster, &theirs.to), (&ours.cluster, &ours.from));
                assert_ne!(theirs.from, ours.from);
                assert_eq!(theirs.nonce.is_some(), ours.nonce.is_some());
                let url = theirs.client_url.as_deref();
                assert!(url.is_none_or(client_url::is_usable), "{url:?}");
            }
            Err(refusal) => {
                assert!(refusal.reason.len() <= LONGEST_REASON, "{}", refusal.reason);
                // The text contains none of the other side's names, and none of this server's.
                assert!(TOLD.iter().any(|told| refusal.told().contains(told)));
            }
        }
    }
}

/// Texts for strangers. Each contains one of these.
const TOLD: [&str; 5] = [
    "different clusters",
    "another server than the one wanted",
    "the same id",
    "the client URL cannot be used",
    "no peer secret",
];

const OURS: &str = r#"{"cluster":"bellwether","from":"s1","to":"s2"}"#;

fn same_again<T: Serialize + DeserializeOwned + PartialEq + Debug>(text: &str) {
    if let Ok(read) = serde_json::from_str::<T>(text) {
        let written = to_json(&read);
        assert_eq!(serde_json::from_str::<T>(&written).ok(), Some(read), "{written}");
    }
}

/// Checks a file of secrets with this text.
pub fn peer_secrets(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let secrets = match text.parse::<PeerSecrets>() {
        Ok(secrets) => secrets,
        Err(error) => return tells_nothing(&error),
    };
    let accepted: Vec<&str> = secrets
        .accepted()
        .filter_map(|secret| str::from_utf8(secret).ok())
        .collect();
    assert_eq!(
        accepted.len(),
        text.lines().filter(|line| !line.trim().is_empty()).count()
    );
    assert_eq!(accepted[0].as_bytes(), secrets.own());
    for secret in &accepted {
        assert!(
            secret.len() >= 32 && secret.trim() == *secret && !secret.starts_with('#'),
            "{secret:?}"
        );
        assert!(
            secret.bytes().all(|byte| matches!(byte, b' '..=b'~')),
            "{secret:?}"
        );
        assert!(!format!("{secrets:?}").contains(secret));
    }
    let again: Option<PeerSecrets> = accepted.join("\n").parse().ok();
    assert!(again.is_some_and(|again| again.accepted().eq(secrets.accepted())));
}

/// Asserts that the error is one of these sentences with numbers, and repeats nothing of the file.
fn tells_nothing(error: &PeerSecretsError) {
    const SAID: [&str; 4] = [
        "there is no secret in it",
        "the secret in line  has  characters and needs  at least",
        "line  holds something else than printable ASCII characters",
        "line  begins with #, and there are no comments in it: each line is a secret",
    ];
    let said = error.to_string().replace(|c: char| c.is_ascii_digit(), "");
    assert!(SAID.contains(&said.as_str()), "{said}");
}

/// Checks transcript, proofs and signed messages of two servers. The bytes control an attacker on
/// the path.
pub fn peer_session(data: &[u8]) {
    let mut script = Script(data);
    let (dialler, acceptor) = (script.text(), script.text());
    let transcript = Transcript {
        dialler: &dialler,
        acceptor: &acceptor,
    };
    let others = (script.text(), script.text());
    let others = Transcript {
        dialler: &others.0,
        acceptor: &others.1,
    };
    let (secret, another) = (script.secret(), script.secret());
    let role = if script.byte() & 1 == 0 {
        Role::Dialler
    } else {
        Role::Acceptor
    };
    let differ = Differ {
        transcript: (others.dialler, others.acceptor) != (transcript.dialler, transcript.acceptor),
        secrets: another != secret,
    };

    let proof = transcript.prove(&secret, role);
    assert!(transcript.proven(&secret, role, &proof));
    assert!(!transcript.proven(&secret, role.other(), &proof));
    assert_eq!(transcript.proven(&another, role, &proof), !differ.secrets);
    assert_eq!(others.proven(&secret, role, &proof), !differ.transcript);
    let mut altered = proof;
    altered[usize::from(script.byte()) % BYTES] ^= 1 << (script.byte() % 8);
    assert!(!transcript.proven(&secret, role, &altered));

    let messages: Vec<String> = (0..script.byte() % 5).map(|_| script.text()).collect();
    let seal = |mut session: Session| {
        messages
            .iter()
            .map(|message| session.seal(message))
            .collect::<Vec<_>>()
    };
    let sealed = seal(transcript.session(&secret, role));
    let foreign = [
        (true, seal(transcript.session(&secret, role.other()))),
        (differ.secrets, seal(transcript.session(&another, role))),
        (differ.transcript, seal(others.session(&secret, role))),
    ];
    for (differs, foreign) in &foreign {
        assert!(!differs || foreign.iter().all(|frame| !sealed.contains(frame)));
    }

    let mut session = transcript.session(&secret, role);
    let mut passed = 0;
    let mut broken = false;
    while !script.0.is_empty() {
        let frame = script.frame(
            &sealed,
            &foreign.each_ref().map(|(_, frames)| frames.as_slice()),
            passed,
        );
        // No two sealed frames are the same, so the content of a frame shows its place.
        let genuine = !broken && sealed.get(passed) == Some(&frame);
        let opened = session.open(&frame);
        assert_eq!(opened.is_some(), genuine, "frame {passed}");
        assert_eq!(opened, genuine.then(|| messages[passed].as_bytes()));
        passed += usize::from(genuine);
        broken |= !genuine;
    }
}

struct Differ {
    transcript: bool,
    secrets: bool,
}

/// The bytes that control the attacker.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte() % 48).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes.to_vec()
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Returns a secret that a file of secrets may contain.
    fn secret(&mut self) -> Vec<u8> {
        let mut secret: Vec<u8> = self.bytes().iter().map(|byte| b'!' + byte % 94).collect();
        secret.resize(secret.len().max(32), b'x');
        secret
    }

    /// Returns the frame that arrives after `passed` messages.
    fn frame(&mut self, sealed: &[Vec<u8>], foreign: &[&[Vec<u8>]], passed: usize) -> Vec<u8> {
        let (what, which) = (self.byte() % 8, usize::from(self.byte()));
        let next = sealed.get(passed).cloned().unwrap_or_default();
        let among = |frames: &[Vec<u8>]| {
            frames
                .get(which % frames.len().max(1))
                .cloned()
                .unwrap_or_default()
        };
        match what {
            0..=2 => next,
            3 => among(sealed),
            4 => among(foreign[which % foreign.len()]),
            5 => self.bytes(),
            6 => [next, self.bytes()].concat(),
            _ => {
                let mut altered = next;
                if let Some(byte) = altered.get_mut(which) {
                    *byte ^= 1 << (self.byte() % 8);
                }
                altered
            }
        }
    }
}
