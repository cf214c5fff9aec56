//! The proof that two servers have the same secret, and the signatures of their messages after it.
//!
//! Everything is HMAC-SHA256 (RFC 2104), over a label and parts. The length of each part stands
//! before it, so that no two inputs look alike. A comparison always takes the same time.
//!
//! - The dialler's **proof** covers its hello and the acceptor's challenge, a fresh random nonce,
//!   exactly as they were sent. The acceptor's proof covers both hellos: the cluster, both ids, the
//!   clients' addresses and the nonces of both sides. Each proof is therefore valid for one
//!   connection, and a recorded proof is of no use for another. The label names the role, so one
//!   side's proof cannot be sent back as the other's.
//! - A **session** key is made from the secret and the same transcript, one for each direction. It
//!   signs each message with its place on the connection. A message that is altered, inserted,
//!   repeated, moved or left out does not pass, and no later message passes.
//!
//! Limits: nothing is encrypted, so an attacker on the path can read ids, addresses and roles.
//! Pings, pongs and the closing of a connection are not signed. An attacker on the path can cut or
//! delay the connection in any case.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Length of a nonce and of a proof, in bytes.
pub(super) const BYTES: usize = 32;

/// A side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Dialler,
    Acceptor,
}

impl Role {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Acceptor,
            Self::Acceptor => Self::Dialler,
        }
    }
}

/// The hellos of both sides, exactly as they were sent. In the dialler's proof the acceptor's
/// challenge stands in place of its hello, because the acceptor sends no names before that proof.
#[derive(Clone, Copy)]
pub(super) struct Transcript<'a> {
    pub(super) dialler: &'a str,
    pub(super) acceptor: &'a str,
}

impl Transcript<'_> {
    /// Returns the proof with which this side shows that it has the secret.
    pub(super) fn prove(&self, secret: &[u8], role: Role) -> [u8; BYTES] {
        self.signed(secret, proof_label(role))
            .finalize()
            .into_bytes()
            .into()
    }

    /// Returns `true` if the other side, which has this role, has proven that it has the secret.
    pub(super) fn proven(&self, secret: &[u8], role: Role, proof: &[u8; BYTES]) -> bool {
        self.signed(secret, proof_label(role)).verify_slice(proof).is_ok()
    }

    /// Returns the session that signs the messages of the side with this role, and checks them at
    /// the other side.
    pub(super) fn session(&self, secret: &[u8], role: Role) -> Session {
        let key = self.signed(secret, messages_label(role)).finalize();
        Session {
            signer: keyed(&key.into_bytes()),
            passed: 0,
            broken: false,
        }
    }

    fn signed(&self, secret: &[u8], label: &str) -> Hmac<Sha256> {
        let mut mac = keyed(secret);
        for part in [label, self.dialler, self.acceptor] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }
}

/// The key and the place of the next message, on one connection and in one direction.
pub(super) struct Session {
    signer: Hmac<Sha256>,
    passed: u64,
    /// Set if a message has arrived that the other side has not sent, or not at this place.
    broken: bool,
}

impl Session {
    /// Returns the message as it is sent: first its signature, then the text.
    pub(super) fn seal(&mut self, message: &str) -> Vec<u8> {
        let signature = self.next(message.as_bytes()).finalize().into_bytes();
        [&signature, message.as_bytes()].concat()
    }

    /// Returns the message in these bytes, if it is the next message of the other side. After the
    /// first failure it always returns `None`.
    pub(super) fn open<'a>(&mut self, sealed: &'a [u8]) -> Option<&'a [u8]> {
        let (signature, message) = sealed.split_at_checked(BYTES).unwrap_or_default();
        self.broken |= self.next(message).verify_slice(signature).is_err();
        (!self.broken).then_some(message)
    }

    fn next(&mut self, message: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.signer.clone();
        mac.update(&self.passed.to_be_bytes());
        mac.update(message);
        self.passed += 1;
        mac
    }
}

fn proof_label(role: Role) -> &'static str {
    match role {
        Role::Dialler => "bellwether-peer.v2 proof of the dialler",
        Role::Acceptor => "bellwether-peer.v2 proof of the acceptor",
    }
}

fn messages_label(role: Role) -> &'static str {
    match role {
        Role::Dialler => "bellwether-peer.v2 messages of the dialler",
        Role::Acceptor => "bellwether-peer.v2 messages of the acceptor",
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"))
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use sha2::Digest;

    use super::*;

    const TRANSCRIPT: Transcript<'static> = Transcript {
        dialler: r#"{"from":"s1"}"#,
        acceptor: r#"{"from":"s2"}"#,
    };
    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    /// Computes HMAC as RFC 2104 defines it, using only the hash.
    fn by_the_book(key: &[u8], input: &[u8]) -> [u8; BYTES] {
        let mut block = [0; 64];
        block[..key.len()].copy_from_slice(key);
        let inner = Sha256::digest([&block.map(|byte| byte ^ 0x36), input].concat());
        Sha256::digest([&block.map(|byte| byte ^ 0x5c)[..], &inner].concat()).into()
    }

    #[test]
    fn the_primitive_is_hmac_sha256() {
        // RFC 4231, cases 2 and 6.
        for (key, input, output) in [
            (
                &b"Jefe"[..],
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            let mut mac = keyed(key);
            mac.update(input.as_bytes());
            assert_eq!(HEXLOWER.encode(&mac.finalize().into_bytes()), output);
        }
    }

    #[test]
    fn proofs_and_signatures_are_what_the_description_says() {
        let covered = |label: &str| {
            let mut input = Vec::new();
            for part in [label, TRANSCRIPT.dialler, TRANSCRIPT.acceptor] {
                input.extend(u64::try_from(part.len()).unwrap().to_be_bytes());
                input.extend(part.as_bytes());
            }
            input
        };
        for (role, label) in [
            (Role::Dialler, "bellwether-peer.v2 proof of the dialler"),
            (Role::Acceptor, "bellwether-peer.v2 proof of the acceptor"),
        ] {
            assert_eq!(
                TRANSCRIPT.prove(SECRET, role),
                by_the_book(SECRET, &covered(label))
            );
        }
        for (role, label) in [
            (Role::Dialler, "bellwether-peer.v2 messages of the dialler"),
            (Role::Acceptor, "bellwether-peer.v2 messages of the acceptor"),
        ] {
            let key = by_the_book(SECRET, &covered(label));
            let mut session = TRANSCRIPT.session(SECRET, role);
            for (place, message) in [(0_u64, "first"), (1, "second")] {
                let signature = by_the_book(&key, &[&place.to_be_bytes(), message.as_bytes()].concat());
                assert_eq!(session.seal(message), [&signature, message.as_bytes()].concat());
            }
        }
    }

    #[test]
    fn a_proof_is_good_for_one_role_one_secret_and_one_pair_of_hellos() {
        let proof = TRANSCRIPT.prove(SECRET, Role::Dialler);
        assert!(TRANSCRIPT.proven(SECRET, Role::Dialler, &proof));
        assert!(!TRANSCRIPT.proven(SECRET, Role::Acceptor, &proof));
        assert!(!TRANSCRIPT.proven(&SECRET[1..], Role::Dialler, &proof));
        let moved = Transcript {
            dialler: r#"{"from":"s1"}{"#,
            acceptor: r#""from":"s2"}"#,
        };
        let swapped = Transcript {
            dialler: TRANSCRIPT.acceptor,
            acceptor: TRANSCRIPT.dialler,
        };
        for others in [moved, swapped] {
            assert!(!others.proven(SECRET, Role::Dialler, &proof));
        }
        for byte in 0..BYTES {
            let mut altered = proof;
            altered[byte] ^= 1;
            assert!(!TRANSCRIPT.proven(SECRET, Role::Dialler, &altered));
        }
    }

    #[test]
    fn messages_pass_once_and_in_their_order() {
        let sealed: Vec<Vec<u8>> = {
            let mut session = TRANSCRIPT.session(SECRET, Role::Dialler);
            ["one", "two", "three"]
                .map(|message| session.seal(message))
                .into()
        };
        let opens = |order: &[usize]| {
            let mut session = TRANSCRIPT.session(SECRET, Role::Dialler);
            order.iter().all(|index| session.open(&sealed[*index]).is_some())
        };
        assert!(opens(&[0, 1, 2]));
        for order in [&[1][..], &[0, 0], &[0, 2], &[0, 2, 1]] {
            assert!(!opens(order), "{order:?}");
        }
        // The session also rejects each message after an inserted message. The inserted message may
        // lack room for a signature, and may replace another message.
        for forged in [&b"forged"[..], &[0; 64]] {
            for next in &sealed {
                let mut session = TRANSCRIPT.session(SECRET, Role::Dialler);
                assert_eq!(session.open(forged), None);
                assert_eq!(session.open(next), None);
            }
        }
        assert_eq!(
            TRANSCRIPT.session(&SECRET[1..], Role::Dialler).open(&sealed[0]),
            None
        );
        assert_eq!(TRANSCRIPT.session(SECRET, Role::Acceptor).open(&sealed[0]), None);
    }
}
