//! The page in a headless Chromium, against a real cluster, as a user sees it.
//!
//! All cases share three `mongod`, three servers and the browser, one after the other, each with a
//! tab of its own. Each case heals its faults before the next one begins. A case fails if the
//! browser's console has an unexpected line. `cargo test -p bellwether-tests --test page rows::`
//! runs those of one subject.

mod access;
mod bounds;
mod editor;
mod history;
mod rows;
mod safety;
mod stage;
mod unknown;

use std::process::ExitCode;

use anyhow::Result;
use bellwether_testkit::{cases, play};

use stage::Stage;

fn main() -> Result<ExitCode> {
    play::<Stage>(cases! {
        rows:
            the_coordinator_executes_it
            servers_after_the_coordinator_are_not_asked
            a_killed_server_is_unreachable
            servers_that_do_not_answer_time_out
            a_black_hole_is_overtaken
            a_silent_server_does_not_introduce_itself
            something_else_is_no_server
            a_follower_names_the_coordinator
            a_follower_alone_executes_nothing
            a_forbidden_command_is_refused
            an_overloaded_server_is_asked_again
            mongodb_refuses_a_duplicate_key
            a_command_that_takes_too_long_is_unknown;
        unknown:
            a_lost_reply_is_replayed
            checking_the_outcome_changes_nothing
            the_same_id_executes_once
            sent_as_new_it_is_executed_again
            a_lost_read_leaves_nothing_to_settle
            a_stopped_coordinator_leaves_it_unknown
            a_coordinator_killed_in_mid_command;
        editor:
            every_example_executes
            bad_json_is_marked_where_it_is
            cancelled_before_it_was_sent_it_is_not_executed
            cancelled_after_it_was_sent_it_is_unknown
            replies_keep_order_and_digits
            the_keyboard_is_enough
            the_cluster_is_seen_to_change
            offline_in_mid_command_the_outcome_can_be_had_later;
        history:
            closed_in_mid_command_it_can_be_settled_later
            commands_come_back_as_they_were_written
            at_most_50_are_kept
            garbage_in_the_storage_does_no_harm
            a_link_shares_the_command_and_nothing_else;
        safety:
            documents_are_text
            what_a_false_server_says_is_text
            a_page_that_is_not_let_in_says_what_to_do
            the_policy_is_sent_with_everything
            what_is_loaded_is_compressed_where_the_browser_reads_that
            the_policy_holds
            only_modules_of_its_own_are_loaded;
        bounds:
            a_status_of_another_form_stops_nothing
            of_a_large_reply_little_is_shown_at_first
            of_a_reply_with_many_fields_some_are_shown
            under_a_path_everything_is_asked_for_there;
        access:
            nothing_sent_yet
            under_way
            executed
            bad_json
            refused
            unknown
            verdict_and_rows_are_announced
            states_differ_without_colour
            nothing_moves_for_who_does_not_want_it;
    })
}
