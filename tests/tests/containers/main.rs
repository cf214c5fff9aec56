//! The cluster that users get, in containers: the services of `docker/compose.yaml`, with clients
//! outside.
//!
//! All cases share one project of Compose, one after the other. Each case heals its faults before
//! the next one begins. `cargo xtask containers` gets Docker, makes the images, and runs this.
//! Arguments after its `--` go to this program, such as `coordinator::` for the cases of one
//! subject. At the end a table shows the effects of each fault.

mod coordinator;
mod everything;
mod fault;
mod hardening;
mod maintenance;
mod mongodb;
mod page;
mod privileges;
mod stage;
mod strangers;

use std::process::ExitCode;

use anyhow::Result;
use bellwether_testkit::{cases, play};

use stage::Stage;

fn main() -> Result<ExitCode> {
    play::<Stage>(cases! {
        hardening:
            servers_are_nobody_and_write_nothing
            only_clients_ports_are_published
            the_image_is_small
            mongods_run_without_rights;
        strangers:
            clients_reach_neither_mongods_nor_peers
            a_server_with_another_secret_is_refused
            a_server_of_another_cluster_is_refused;
        privileges:
            mongodb_answers_nobody_without_a_password
            the_servers_user_sees_two_databases;
        coordinator:
            killed
            paused
            stopped
            cut_from_peers
            cut_from_mongodb
            cut_from_clients
            no_client_reaches_it
            cut_from_everything;
        mongodb:
            primary_killed
            primary_paused
            primary_cut_off;
        maintenance:
            rolling_restart
            rolling_replacement
            five_servers_and_back;
        page:
            a_command_after_the_coordinators_container_was_killed;
        everything:
            stopped_and_started
            no_secret_was_shown;
    })
}
