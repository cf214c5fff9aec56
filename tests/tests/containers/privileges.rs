//! MongoDB's privileges of each user.

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use mongodb::Client;
use mongodb::error::ErrorKind;

use crate::stage::Stage;

/// MongoDB's code for "not authorized", and the one for "command requires authentication", which it
/// uses as well.
const UNAUTHORIZED: i32 = 13;

pub(crate) async fn mongodb_answers_nobody_without_a_password(stage: &mut Stage) -> Result<()> {
    let stranger = stage.compose.stranger().await?;
    for database in ["app", "app_bellwether", "admin", "local"] {
        expect_refusal(&stranger, database, doc! { "find": "anything" }).await?;
    }
    expect_refusal(&stranger, "admin", doc! { "listDatabases": 1 }).await
}

/// Checks that the servers' MongoDB user sees the users' database and the servers' own, and no
/// other.
pub(crate) async fn the_servers_user_sees_two_databases(stage: &mut Stage) -> Result<()> {
    let client = stage.compose.client().await?;
    for database in ["app", "app_bellwether"] {
        let database = client.database(database);
        let found = database.run_command(doc! { "find": "anything" }).await;
        found.with_context(|| format!("reading {}", database.name()))?;
    }
    for database in ["other", "admin", "local", "config"] {
        expect_refusal(&client, database, doc! { "find": "anything" }).await?;
        let insert = doc! { "insert": "anything", "documents": [{}] };
        expect_refusal(&client, database, insert).await?;
    }
    expect_refusal(&client, "admin", doc! { "find": "system.users" }).await?;
    let user = doc! { "createUser": "another", "pwd": "another", "roles": ["root"] };
    expect_refusal(&client, "admin", user).await?;
    expect_refusal(
        &client,
        "app",
        doc! { "createUser": "another", "pwd": "another", "roles": [] },
    )
    .await?;
    expect_refusal(&client, "admin", doc! { "shutdown": 1 }).await?;
    expect_refusal(&client, "admin", doc! { "replSetGetConfig": 1 }).await
}

async fn expect_refusal(client: &Client, database: &str, command: Document) -> Result<()> {
    let answer = client.database(database).run_command(command.clone()).await;
    let refused = answer.as_ref().is_err_and(
        |error| matches!(&*error.kind, ErrorKind::Command(refusal) if refusal.code == UNAUTHORIZED),
    );
    ensure!(refused, "{command} in {database} is answered with {answer:?}");
    Ok(())
}
