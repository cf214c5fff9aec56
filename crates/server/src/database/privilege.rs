//! This server's privileges in MongoDB: to work with its databases, and to ask a secondary to stand
//! for election.

use bson::{Bson, Document, doc};
use mongodb::Database;

const ACTION: &str = "replSetStateChange";

/// Asks MongoDB if this connection may ask a secondary to stand for election.
pub(super) async fn ask(admin: &Database) -> mongodb::error::Result<bool> {
    let question = doc! { "connectionStatus": 1, "showPrivileges": true };
    Ok(is_granted(&admin.run_command(question).await?))
}

/// Asks MongoDB if this connection's user lacks a privilege that the server cannot work without.
/// Returns a description of the missing privilege. A user may intentionally have few privileges in
/// the users' database, but not none.
pub(super) async fn missing(users: &Database, system: &Database) -> mongodb::error::Result<Option<String>> {
    let question = doc! { "connectionStatus": 1, "showPrivileges": true };
    let reply = users.run_command(question).await?;
    Ok(missing_in(&reply, users.name(), system.name()))
}

/// The actions on documents that the server and its clients need.
const DOCUMENTS: [&str; 4] = ["find", "insert", "update", "remove"];

fn missing_in(reply: &Document, users: &str, system: &str) -> Option<String> {
    let grants = |action: &str, database: &str, whole: bool| {
        privileges(reply).is_none_or(|mut privileges| {
            privileges.any(|privilege| allows(privilege, action) && covers(privilege, database, whole))
        })
    };
    if let Some(action) = DOCUMENTS.into_iter().find(|action| !grants(action, system, true)) {
        return Some(format!("{action} in the database {system}"));
    }
    let nothing = !DOCUMENTS.into_iter().any(|action| grants(action, users, false));
    nothing.then(|| format!("it may neither read nor write in the database {users}"))
}

/// Returns the privileges in the reply to `connectionStatus`. Returns `None` if there is no user,
/// because MongoDB then runs without access control.
fn privileges(reply: &Document) -> Option<impl Iterator<Item = &Document>> {
    let user = reply.get_document("authInfo").ok()?;
    let list = |field| user.get_array(field).map(Vec::as_slice).unwrap_or_default();
    if list("authenticatedUsers").is_empty() {
        return None;
    }
    Some(
        list("authenticatedUserPrivileges")
            .iter()
            .filter_map(Bson::as_document),
    )
}

fn allows(privilege: &Document, action: &str) -> bool {
    privilege.get_array("actions").is_ok_and(|actions| {
        actions.contains(&Bson::from(action)) || actions.contains(&Bson::from("anyAction"))
    })
}

/// Returns `true` if the privilege covers the database or its ledger. Unless `whole` is set, any
/// collection of the database is enough.
fn covers(privilege: &Document, database: &str, whole: bool) -> bool {
    let Ok(resource) = privilege.get_document("resource") else {
        return false;
    };
    if resource.get_bool("anyResource").unwrap_or(false) {
        return true;
    }
    let text = |field| resource.get_str(field).ok();
    let on_database = text("db").is_some_and(|name| name.is_empty() || name == database);
    let on_collection =
        text("collection").is_some_and(|name| name.is_empty() || !whole || name == super::LEDGER);
    on_database && on_collection
}

fn is_granted(reply: &Document) -> bool {
    let covers_the_cluster = |privilege: &Document| {
        let resource = privilege.get_document("resource");
        resource.is_ok_and(|resource| {
            ["cluster", "anyResource"]
                .into_iter()
                .any(|all| resource.get_bool(all).unwrap_or(false))
        })
    };
    privileges(reply).is_none_or(|mut privileges| {
        privileges.any(|privilege| covers_the_cluster(privilege) && allows(privilege, ACTION))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(user: bool, resource: Document, actions: &[&str]) -> Document {
        let users = if user {
            vec![doc! { "user": "bw", "db": "admin" }]
        } else {
            vec![]
        };
        let privileges = vec![doc! { "resource": resource, "actions": actions }];
        doc! { "authInfo": { "authenticatedUsers": users, "authenticatedUserPrivileges": privileges } }
    }

    #[test]
    fn the_privilege_is_found() {
        let cluster = || doc! { "cluster": true };
        assert!(is_granted(&reply(true, cluster(), &["replSetGetStatus", ACTION])));
        assert!(is_granted(&reply(
            true,
            doc! { "anyResource": true },
            &["anyAction"]
        )));
        assert!(!is_granted(&reply(true, cluster(), &["replSetGetStatus"])));
        assert!(!is_granted(&reply(
            true,
            doc! { "db": "app", "collection": "" },
            &[ACTION]
        )));
        assert!(is_granted(&reply(false, doc! {}, &[])));
        assert!(is_granted(&doc! { "ok": 1.0 }));
    }

    #[test]
    fn a_privilege_that_nothing_works_without_is_missed() {
        let with = |privileges: &[(&str, &str, &[&str])]| {
            let privileges: Vec<Document> = privileges
                .iter()
                .map(|(db, collection, actions)| {
                    doc! { "resource": { "db": *db, "collection": *collection }, "actions": actions.to_vec() }
                })
                .collect();
            let users = vec![doc! { "user": "bw", "db": "admin" }];
            let reply = doc! { "authInfo": { "authenticatedUsers": users, "authenticatedUserPrivileges": privileges } };
            missing_in(&reply, "app", "app_bellwether")
        };
        let all: &[&str] = &DOCUMENTS;
        assert_eq!(with(&[("app", "", all), ("app_bellwether", "", all)]), None);
        assert_eq!(with(&[("", "", all)]), None);
        assert_eq!(
            with(&[("app", "notes", &["find"]), ("app_bellwether", "ledger", all)]),
            None
        );
        let missing = with(&[("app", "", all)]).unwrap();
        assert_eq!(missing, "find in the database app_bellwether");
        let missing = with(&[("app", "", all), ("app_bellwether", "", &["find"])]).unwrap();
        assert_eq!(missing, "insert in the database app_bellwether");
        let missing = with(&[("other", "", all), ("app_bellwether", "", all)]).unwrap();
        assert!(missing.contains("the database app"), "{missing}");
        assert_eq!(
            missing_in(&reply(false, doc! {}, &[]), "app", "app_bellwether"),
            None
        );
    }
}
