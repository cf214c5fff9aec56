//! The classic Bully algorithm, for comparison ([`Succession::Classic`](crate::Succession)). Every
//! server asks all better-ranked servers to campaign.

use alloc::vec::Vec;

use rand::RngCore;

use super::candidate::Candidate;
use super::{Elector, State};
use crate::{Body, Member, ServerId};

impl<R: RngCore> Elector<R> {
    /// Asks every better-ranked server, dead or alive, unless it has declined lately. Each of them
    /// does the same.
    pub(super) fn campaign_classic(&mut self) {
        let better: Vec<ServerId> = self
            .peers
            .known(self.now)
            .filter(|member| member.can_campaign() && member.rank > self.me.rank)
            .map(|member| member.rank.id.clone())
            .collect();
        if !self.me.can_campaign() && better.is_empty() {
            return self.back_off(self.config.claim_retry);
        }
        let until = self.now + self.config.timeout;
        self.enter(State::Candidate(Candidate::AskingAll { until }));
        if better.is_empty() {
            return self.campaign();
        }
        for peer in better {
            self.send(&peer, Body::Election);
        }
    }

    /// The receiver of an `Election` answers "I am a candidate", and holds an election of its own.
    pub(super) fn on_classic_election(&mut self, sender: &Member) {
        let peer = &sender.rank.id;
        if !self.me.can_campaign() {
            return self.send(peer, Body::Decline);
        }
        self.send(peer, Body::Answer);
        match &self.state {
            State::Following(_) => self.declare_failed(),
            State::Candidate(Candidate::BackingOff { .. }) => self.become_candidate(),
            _ => {}
        }
    }
}
