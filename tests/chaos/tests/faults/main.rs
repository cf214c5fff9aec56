//! Every fault does to the real thing what its name says, and leaves nothing after it is healed.
//! The tests observe the effects by other means than the fault uses.

mod cuts;
mod hearing;
mod links;
mod members;
mod servers;
mod stage;

use std::process::ExitCode;

use anyhow::Result;
use bellwether_chaos::network::enclose;
use bellwether_testkit::{cases, play};

use stage::Lab;

fn main() -> Result<ExitCode> {
    if let Err(why) = enclose() {
        eprintln!("NOT RUN: {why:#}");
        return Ok(ExitCode::SUCCESS);
    }
    play::<Lab>(cases! {
        servers:
            clients_are_served
            a_killed_one_is_gone
            a_paused_one_stands_still
            a_stopped_one_ends_by_itself
            a_clock_that_jumps_is_told_by_the_log
            whom_a_fault_has_met_no_other_meets;
        cuts:
            from_peers
            of_a_pair
            of_one_direction
            from_mongodb
            from_clients
            from_everybody
            of_a_member;
        links:
            delayed_packets_arrive_later
            lost_packets_do_not_arrive
            lost_replies_leave_the_effect;
        members:
            a_killed_one_is_gone
            a_paused_one_stands_still
            a_primary_that_steps_down_is_followed_by_another
            without_a_majority_nothing_is_acknowledged
            one_that_does_not_interrupt_works_on_until_it_is_killed
            with_a_stalled_disk_nothing_becomes_durable
            only_one_is_ill_at_a_time;
    })
}
