// Commands to start from, as text: JavaScript's own JSON would reorder fields named like numbers.

export const examples = [
  ["Insert", `{
  "insert": "notes",
  "documents": [
    { "text": "hello", "stars": 5 }
  ]
}`],
  ["Find", `{
  "find": "notes",
  "filter": { "stars": { "$gte": 3 } },
  "sort": { "_id": -1 },
  "limit": 10
}`],
  ["Update", `{
  "update": "notes",
  "updates": [
    { "q": { "text": "hello" }, "u": { "$inc": { "stars": 1 } } }
  ]
}`],
  ["Find and modify", `{
  "findAndModify": "counters",
  "query": { "_id": "visits" },
  "update": { "$inc": { "n": 1 } },
  "upsert": true,
  "new": true
}`],
  ["Aggregate", `{
  "aggregate": "notes",
  "pipeline": [
    { "$group": { "_id": "$stars", "notes": { "$sum": 1 } } },
    { "$sort": { "_id": 1 } }
  ],
  "cursor": {}
}`],
  ["Atomic list", `{
  "transaction": [
    { "insert": "notes", "documents": [{ "text": "all or nothing", "stars": 1 }] },
    { "findAndModify": "counters", "query": { "_id": "notes" },
      "update": { "$inc": { "n": 1 } }, "upsert": true, "new": true },
    { "find": "notes", "sort": { "_id": -1 }, "limit": 3 }
  ]
}`],
  ["Count", `{
  "count": "notes",
  "query": {}
}`],
  ["Delete", `{
  "delete": "notes",
  "deletes": [
    { "q": { "text": "hello" }, "limit": 1 }
  ]
}`],
];
