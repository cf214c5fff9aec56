//! Subjects that take a few tests each, on real servers. They are one program: to link a program
//! for each would take longer than its tests.

mod access;
mod bad_input;
mod cannot_be_dialled;
mod cli;
mod cold_start;
mod compose_secrets;
mod coordinator_killed;
mod coordinator_paused;
mod examples;
mod foreign_pages;
mod graceful_leave;
mod limits;
mod mongodb_assist;
mod mongodb_primary;
mod mongodb_trouble;
mod mongodb_unreachable;
mod one_connection;
mod outcome;
mod peer_origin;
mod peer_secret;
mod protocol_document;
mod protocol_examples;
mod replica_set;
mod reply_lost;
mod server_program;
mod silent_servers;
mod tls;
