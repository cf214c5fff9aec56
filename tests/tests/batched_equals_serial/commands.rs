//! Random commands. `@a` and `@b` are two collections of the case, `@case` is its number.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// One command of a list.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    pub(crate) command: String,
    pub(crate) id: Id,
}

/// The id a command is sent with.
#[derive(Clone, Debug)]
pub(crate) enum Id {
    New,
    /// That of a command before it, which is sent once more.
    Repeat(Index),
    /// That of a command before it, for this command.
    Reuse(Index),
}

pub(crate) fn sendings() -> impl Strategy<Value = Vec<Sending>> {
    let stretch = prop_oneof![3 => one().prop_map(|sending| vec![sending]), 1 => run()];
    let list = (prop::bool::weighted(0.7), vec(stretch, 1..12));
    list.prop_map(|(filled, stretches)| {
        let first = filled.then(|| new(FILL.to_owned()));
        first.into_iter().chain(stretches.into_iter().flatten()).collect()
    })
}

/// Fills the collections, so that most of the commands find something.
pub(crate) const FILL: &str = r#"{"insert":"@a","documents":[{"_id":0,"n":0,"s":"x"},{"_id":1,"n":1,"s":"x"},{"_id":2,"n":2,"s":"x"},{"_id":3,"n":0,"s":"x"},{"_id":4,"n":1,"s":"y"}]}"#;

/// Commands with new ids.
pub(crate) fn list(commands: &[&str]) -> Vec<Sending> {
    commands
        .iter()
        .map(|command| new((*command).to_owned()))
        .collect()
}

fn new(command: String) -> Sending {
    Sending { command, id: Id::New }
}

fn one() -> impl Strategy<Value = Sending> {
    let id = prop_oneof![
        12 => Just(Id::New),
        2 => any::<Index>().prop_map(Id::Repeat),
        1 => any::<Index>().prop_map(Id::Reuse),
    ];
    (any_command(), id).prop_map(|(command, id)| Sending { command, id })
}

/// Generates several commands of one kind in a row, which the server merges.
fn run() -> impl Strategy<Value = Vec<Sending>> {
    let statements = vec((0..6_i32, number()), 2..7);
    (0..11, statements).prop_map(|(which, statements)| {
        let command = |(id, n): (i32, i32)| match which {
            0 => format!(r#"{{"insert":"@a","documents":[{{"_id":{}}}]}}"#, 100 + 10 * id + n),
            1 => format!(r#"{{"update":"@a","updates":[{{"q":{{"_id":{id}}},"u":{{"$set":{{"s":"x"}}}}}}]}}"#),
            2 => format!(r#"{{"update":"@a","updates":[{{"q":{{"_id":{id}}},"u":{{"$inc":{{"m":{n}}}}}}}]}}"#),
            3 => format!(
                r#"{{"update":"@a","updates":[{{"q":{{"_id":{id}}},"u":{{"$inc":{{"m":1}}}},"upsert":true}}]}}"#
            ),
            4 => format!(r#"{{"delete":"@a","deletes":[{{"q":{{"_id":{id}}},"limit":1}}]}}"#),
            5 => format!(r#"{{"update":"@a","updates":[{{"q":{{"n":{n}}},"u":{{"$set":{{"m":{id}}}}}}}]}}"#),
            6 => format!(
                r#"{{"update":"@a","updates":[{{"q":{{"_id":{id}}},"u":{{"$inc":{{"m":1}}}}}},{{"q":{{"_id":"{id}{n}"}},"u":{{"$inc":{{"m":1}}}},"upsert":true}}]}}"#
            ),
            7 => format!(
                r#"{{"delete":"@a","deletes":[{{"q":{{"_id":{id}}},"limit":1}},{{"q":{{"_id":{n}}},"limit":1}}]}}"#
            ),
            8 => format!(r#"{{"find":"@a","filter":{{"_id":{id}}}}}"#),
            9 => match n {
                -1 => format!(r#"{{"find":"@a","filter":{{"_id":{{"$numberLong":"{id}"}}}}}}"#),
                0 => format!(r#"{{"find":"@a","filter":{{"_id":{{"$numberDouble":"{id}.0"}}}},"limit":1}}"#),
                1 => format!(r#"{{"find":"@a","filter":{{"_id":"{id}"}}}}"#),
                _ => format!(r#"{{"find":"@a","filter":{{"_id":{id}}},"limit":2}}"#),
            },
            _ => format!(r#"{{"find":"pairs","filter":{{"_id":"@case-{id}"}}}}"#),
        };
        statements.into_iter().map(|statement| new(command(statement))).collect()
    })
}

fn any_command() -> impl Strategy<Value = String> {
    let list = vec(command(), 1..4).prop_map(|parts| format!(r#"{{"transaction":[{}]}}"#, parts.join(",")));
    prop_oneof![12 => command(), 1 => list]
}

fn command() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => insert(),
        6 => update(),
        3 => delete(),
        3 => find_and_modify(),
        3 => with_unique_index(),
        4 => read(),
        2 => refused(),
    ]
}

fn collection() -> impl Strategy<Value = &'static str> + Clone {
    prop_oneof![3 => Just("@a"), 1 => Just("@b")]
}

/// Generates few ids, so that commands meet.
fn id() -> impl Strategy<Value = i32> + Clone {
    0..5
}

fn number() -> impl Strategy<Value = i32> + Clone {
    -1..3
}

/// Generates the options after a command's own fields.
fn options() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        8 => Just(""),
        1 => Just(r#","ordered":false"#),
        1 => Just(r#","ordered":true"#),
        1 => Just(r#","comment":"x""#),
        1 => Just(r#","maxTimeMS":15000"#),
    ]
}

fn document() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (id(), number()).prop_map(|(id, n)| format!(r#"{{"_id":{id},"n":{n},"s":"x","tags":[1,{n}]}}"#)),
        1 => number().prop_map(|n| format!(r#"{{"n":{n},"tags":[{n}]}}"#)),
        1 => id().prop_map(|id| format!(r#"{{"_id":{id},"n":"text"}}"#)),
        1 => id().prop_map(|id| format!(r#"{{"n":1.5,"_id":{id},"deep":{{"er":[{{"v":{id}}}]}}}}"#)),
    ]
}

fn insert() -> impl Strategy<Value = String> {
    let documents = prop_oneof![3 => vec(document(), 1), 1 => vec(document(), 2..5)];
    (collection(), documents, options()).prop_map(|(c, documents, options)| {
        format!(
            r#"{{"insert":"{c}","documents":[{}]{options}}}"#,
            documents.join(",")
        )
    })
}

fn update() -> impl Strategy<Value = String> {
    let statements = prop_oneof![3 => vec(update_statement(), 1), 1 => vec(update_statement(), 2..4)];
    (collection(), statements, options()).prop_map(|(c, statements, options)| {
        format!(
            r#"{{"update":"{c}","updates":[{}]{options}}}"#,
            statements.join(",")
        )
    })
}

fn update_statement() -> impl Strategy<Value = String> {
    let good = (id(), number(), 0..15).prop_map(|(id, n, which)| match which {
        0 | 1 => format!(r#"{{"q":{{"_id":{id}}},"u":{{"$inc":{{"n":1}}}}}}"#),
        2 | 3 => format!(r#"{{"q":{{"_id":{id}}},"u":{{"$inc":{{"n":1}}}},"upsert":true}}"#),
        // Often changes nothing.
        4 | 5 => format!(r#"{{"q":{{"_id":{id}}},"u":{{"$set":{{"n":{n}}}}}}}"#),
        6 => format!(r#"{{"q":{{"n":{n}}},"u":{{"$set":{{"s":"u"}}}},"upsert":true}}"#),
        7 => r#"{"q":{},"u":{"$inc":{"m":1}},"multi":true}"#.to_owned(),
        8 => format!(r#"{{"q":{{"n":{{"$gte":{n}}}}},"u":{{"$set":{{"s":"m"}}}},"multi":true}}"#),
        9 => format!(r#"{{"q":{{"_id":{id}}},"u":{{"n":{n},"replaced":true}}}}"#),
        10 => format!(r#"{{"q":{{"_id":{id}}},"u":{{"_id":{id},"n":{n}}},"upsert":true}}"#),
        11 => format!(r#"{{"q":{{"_id":{id}}},"u":[{{"$set":{{"n":{{"$add":["$n",1]}},"was":"$n"}}}}]}}"#),
        12 => format!(r#"{{"q":{{"_id":{id}}},"u":{{"$push":{{"tags":{n}}}}}}}"#),
        13 => format!(
            r#"{{"q":{{"_id":{id}}},"u":{{"$set":{{"tags.$[t]":{n}}}}},"arrayFilters":[{{"t":{{"$gt":0}}}}]}}"#
        ),
        _ => format!(r#"{{"q":{{"s":"X"}},"u":{{"$inc":{{"n":{n}}}}},"collation":{{"locale":"en","strength":2}}}}"#),
    });
    let bad = (id(), 0..6).prop_map(|(id, which)| match which {
        0 => format!(r#"{{"q":{{"_id":{id}}},"u":{{"$set":{{"_id":99}}}}}}"#),
        1 => format!(r#"{{"q":{{"_id":{id}}},"u":{{"$inc":{{"s":1}}}}}}"#),
        2 => format!(r#"{{"q":{{"_id":{id}}},"u":{{"$nonsense":{{"n":1}}}}}}"#),
        3 => r#"{"q":{"$nonsense":1},"u":{"$set":{"n":1}}}"#.to_owned(),
        4 => format!(r#"{{"q":{{"_id":{id}}},"u":{{"$set":{{"n":1}},"$inc":{{"n":1}}}}}}"#),
        _ => r#"{"q":{"n":1},"u":{"_id":1,"n":7},"upsert":true}"#.to_owned(),
    });
    prop_oneof![10 => good, 1 => bad]
}

fn delete() -> impl Strategy<Value = String> {
    let statement = (id(), number(), 0..8).prop_map(|(id, n, which)| match which {
        0..=3 => format!(r#"{{"q":{{"_id":{id}}},"limit":1}}"#),
        4 => format!(r#"{{"q":{{"n":{n}}},"limit":0}}"#),
        5 => r#"{"q":{},"limit":1}"#.to_owned(),
        6 => format!(r#"{{"q":{{"_id":{{"$in":[{id},{n}]}}}},"limit":0}}"#),
        _ => r#"{"q":{"$nonsense":1},"limit":0}"#.to_owned(),
    });
    let statements = prop_oneof![3 => vec(statement.clone(), 1), 1 => vec(statement, 2..4)];
    (collection(), statements, options()).prop_map(|(c, statements, options)| {
        format!(
            r#"{{"delete":"{c}","deletes":[{}]{options}}}"#,
            statements.join(",")
        )
    })
}

fn find_and_modify() -> impl Strategy<Value = String> {
    let rest = (id(), number(), 0..8).prop_map(|(id, n, which)| match which {
        0 => format!(r#""query":{{"_id":{id}}},"update":{{"$inc":{{"n":1}}}},"new":true"#),
        1 => format!(r#""query":{{"n":{n}}},"sort":{{"n":-1,"_id":1}},"update":{{"$set":{{"s":"f"}}}}"#),
        2 => format!(r#""query":{{"_id":{id}}},"remove":true"#),
        3 => format!(r#""query":{{"_id":{id}}},"update":{{"n":{n}}},"upsert":true,"new":true"#),
        4 => format!(r#""query":{{"n":77}},"update":{{"$set":{{"n":{n}}}}},"upsert":true,"fields":{{"_id":0}},"new":true"#),
        5 => r#""sort":{"_id":-1},"remove":true,"fields":{"_id":1}"#.to_owned(),
        6 => format!(r#""query":{{"_id":{id}}},"update":[{{"$set":{{"m":{{"$ifNull":["$m",{n}]}}}}}}]"#),
        _ => format!(r#""query":{{"_id":{id}}},"update":{{"$inc":{{"s":1}}}}"#),
    });
    (collection(), rest).prop_map(|(c, rest)| format!(r#"{{"findAndModify":"{c}",{rest}}}"#))
}

/// Writes that collide in an index other than that of `_id`: one for all cases, which make it too
/// slow otherwise.
fn with_unique_index() -> impl Strategy<Value = String> {
    (id(), number(), 0..4).prop_map(|(id, n, which)| {
        let (id, key) = (format!(r#""@case-{id}""#), format!(r#"{{"c":@case,"n":{n}}}"#));
        match which {
            0 | 1 => format!(r#"{{"insert":"unique","documents":[{{"_id":{id},"k":{key}}}]}}"#),
            2 => format!(r#"{{"update":"unique","updates":[{{"q":{{"_id":{id}}},"u":{{"$set":{{"k":{key}}}}},"upsert":true}}]}}"#),
            _ => format!(r#"{{"delete":"unique","deletes":[{{"q":{{"k":{key}}},"limit":1}}]}}"#),
        }
    })
}

fn read() -> impl Strategy<Value = String> {
    (collection(), id(), number(), 0..12).prop_map(|(c, id, n, which)| match which {
        0 => format!(r#"{{"find":"{c}"}}"#),
        1 => format!(r#"{{"find":"{c}","filter":{{"_id":{id}}}}}"#),
        2 => format!(r#"{{"find":"{c}","filter":{{"n":{{"$gte":{n}}}}},"sort":{{"n":-1,"_id":1}},"limit":2,"skip":1}}"#),
        3 => format!(r#"{{"find":"{c}","projection":{{"tags":{{"$slice":1}},"s":0}}}}"#),
        4 => format!(r#"{{"count":"{c}"}}"#),
        5 => format!(r#"{{"count":"{c}","query":{{"n":{n}}},"limit":2}}"#),
        6 => format!(r#"{{"count":"{c}","skip":1}}"#),
        7 => format!(r#"{{"aggregate":"{c}","pipeline":[{{"$match":{{"n":{{"$lte":{n}}}}}}},{{"$sort":{{"_id":1}}}}],"cursor":{{}}}}"#),
        8 => format!(
            r#"{{"aggregate":"{c}","pipeline":[{{"$group":{{"_id":"$s","n":{{"$sum":1}}}}}},{{"$sort":{{"_id":1}}}}]}}"#
        ),
        9 => format!(r#"{{"aggregate":"{c}","pipeline":[{{"$lookup":{{"from":"@b","localField":"_id","foreignField":"_id","as":"b"}}}}]}}"#),
        10 => format!(r#"{{"distinct":"{c}","key":"n"}}"#),
        _ => format!(r#"{{"distinct":"{c}","key":"tags","query":{{"_id":{{"$ne":{id}}}}}}}"#),
    })
}

/// Generates commands that MongoDB refuses, with any data.
fn refused() -> impl Strategy<Value = String> {
    select(vec![
        r#"{"find":"@a","filter":{"$nonsense":1}}"#,
        r#"{"find":"@a","sort":{"n":7}}"#,
        r#"{"find":"@a","projection":{"n":1,"s":0}}"#,
        r#"{"find":"@a","hint":"no_such_index"}"#,
        r#"{"count":"@a","query":{"n":{"$nonsense":1}}}"#,
        r#"{"aggregate":"@a","pipeline":[{"$nonsense":{}}]}"#,
        r#"{"aggregate":"@a","pipeline":[{"$project":{"x":{"$divide":[1,0]}}}]}"#,
        r#"{"distinct":"@a","key":1}"#,
        r#"{"insert":"@a","documents":[{"_id":[1]}]}"#,
        r#"{"insert":"@a","documents":[]}"#,
        r#"{"insert":"@a","documents":[{"_id":50},{"_id":[1]},{"_id":51}]}"#,
        r#"{"update":"@a","updates":[]}"#,
        r#"{"update":"@a","updates":[{"q":{}}]}"#,
        r#"{"delete":"@a","deletes":[{"q":{}}]}"#,
        r#"{"delete":"@a","deletes":[{"q":{},"limit":2}]}"#,
        r#"{"findAndModify":"@a","query":{},"remove":true,"update":{"n":1}}"#,
        r#"{"findAndModify":"@a","query":{},"update":{"$nonsense":1}}"#,
    ])
    .prop_map(str::to_owned)
}
