//! Whether MongoDB would let this server ask a secondary to stand.

use bson::{Bson, Document, doc};
use mongodb::Database;

const ACTION: &str = "replSetStateChange";

/// Asks MongoDB for this connection's privileges.
pub(super) async fn ask(admin: &Database) -> mongodb::error::Result<bool> {
    let question = doc! { "connectionStatus": 1, "showPrivileges": true };
    Ok(is_granted(&admin.run_command(question).await?))
}

/// Reads the reply to `connectionStatus`. Without a user there is nothing to grant: MongoDB runs without
/// access control.
fn is_granted(reply: &Document) -> bool {
    let Ok(user) = reply.get_document("authInfo") else {
        return true;
    };
    let list = |field| user.get_array(field).map(Vec::as_slice).unwrap_or_default();
    let covers_the_cluster = |privilege: &Document| {
        let resource = privilege.get_document("resource");
        resource.is_ok_and(|resource| {
            ["cluster", "anyResource"]
                .into_iter()
                .any(|all| resource.get_bool(all).unwrap_or(false))
        })
    };
    let allows = |privilege: &Document| {
        let actions = privilege.get_array("actions");
        actions.is_ok_and(|actions| {
            actions.contains(&Bson::from(ACTION)) || actions.contains(&Bson::from("anyAction"))
        })
    };
    let privileges = list("authenticatedUserPrivileges")
        .iter()
        .filter_map(Bson::as_document);
    list("authenticatedUsers").is_empty()
        || privileges
            .into_iter()
            .any(|privilege| covers_the_cluster(privilege) && allows(privilege))
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
}
