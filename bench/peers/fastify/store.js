// Teams in SQLite, with an audit entry and an event in the transaction of every change.

import { randomUUID } from 'node:crypto'
import { join } from 'node:path'

import Database from 'better-sqlite3'

import { Refusal } from './problem.js'

const BATCH = 100

const open = (directory, name, synchronous) => {
  const database = new Database(join(directory, `${name}.db`))
  database.pragma('journal_mode = WAL')
  database.pragma(`synchronous = ${synchronous}`)
  database.pragma('busy_timeout = 5000')
  database.pragma('temp_store = MEMORY')
  return database
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS organizations(id TEXT PRIMARY KEY, version INTEGER NOT NULL, teams INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS teams(
    id TEXT PRIMARY KEY, organizationId TEXT NOT NULL, name TEXT NOT NULL, folded TEXT NOT NULL,
    slug TEXT NOT NULL, description TEXT, parentTeamId TEXT, archivedAt TEXT, createdAt TEXT NOT NULL,
    createdBy TEXT NOT NULL, updatedAt TEXT NOT NULL, updatedBy TEXT NOT NULL, etag TEXT NOT NULL,
    UNIQUE(organizationId, folded));
  CREATE INDEX IF NOT EXISTS teams_created ON teams(organizationId, createdAt, id);
  CREATE TABLE IF NOT EXISTS audit(
    id TEXT PRIMARY KEY, organizationId TEXT NOT NULL, at TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
    resource TEXT NOT NULL, requestId TEXT NOT NULL, change TEXT NOT NULL);
  CREATE INDEX IF NOT EXISTS audit_at ON audit(organizationId, at);
  CREATE TABLE IF NOT EXISTS outbox(seq INTEGER PRIMARY KEY, id TEXT NOT NULL, type TEXT NOT NULL, event TEXT NOT NULL);`

export class Teams {
  #read
  #create
  #outbox
  #scheduled = false

  constructor (directory, synchronous) {
    const documents = open(directory, 'docs', synchronous)
    documents.exec(SCHEMA)
    this.#read = documents.prepare('SELECT * FROM teams WHERE id = ? AND organizationId = ?')
    this.#create = this.#creation(documents)
    this.#outbox = new Outbox(documents, open(directory, 'queue', synchronous))
  }

  read (organizationId, id) {
    return this.#read.get(id, organizationId)
  }

  // Creates a team; its event is published right after.
  create (caller, requestId, input) {
    const team = this.#create(caller, requestId, input)
    if (!this.#scheduled) {
      this.#scheduled = true
      setImmediate(() => {
        this.#scheduled = false
        this.#outbox.publish()
      })
    }
    return team
  }

  #creation (database) {
    const enter = database.prepare(
      'INSERT INTO organizations VALUES (?, 1, 200) ON CONFLICT DO UPDATE SET version = version + 1 RETURNING teams')
    const count = database.prepare('SELECT count(*) FROM teams WHERE organizationId = ?').pluck()
    const parent = database.prepare('SELECT 1 FROM teams WHERE id = ? AND organizationId = ?').pluck()
    const insert = database.prepare(`INSERT INTO teams VALUES (
      @id, @organizationId, @name, @folded, @slug, @description, @parentTeamId, @archivedAt, @createdAt, @createdBy,
      @updatedAt, @updatedBy, @etag) ON CONFLICT(organizationId, folded) DO NOTHING`)
    const audit = database.prepare('INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
    const emit = database.prepare('INSERT INTO outbox(id, type, event) VALUES (?, ?, ?)')
    const create = database.transaction((caller, requestId, input) => {
      const organizationId = caller.org
      const { teams } = enter.get(organizationId)
      if (count.get(organizationId) >= teams) {
        throw new Refusal(409, 'quota_exceeded', `There may be ${teams} teams.`)
      }
      if (input.parentTeamId && !parent.get(input.parentTeamId, organizationId)) {
        throw new Refusal(400, 'invalid', 'There is no such parent.')
      }
      const at = new Date().toISOString()
      const name = input.name.trim().normalize('NFC')
      const team = {
        id: randomUUID(),
        organizationId,
        name,
        folded: name.toLowerCase(),
        slug: name.toLowerCase().replace(/[^a-z0-9]+/g, '-'),
        description: input.description ?? null,
        parentTeamId: input.parentTeamId ?? null,
        archivedAt: input.archived ? at : null,
        createdAt: at,
        createdBy: caller.sub,
        updatedAt: at,
        updatedBy: caller.sub,
        etag: randomUUID()
      }
      if (insert.run(team).changes === 0) {
        throw new Refusal(409, 'already_exists', 'There is a team of this name already.')
      }
      audit.run(randomUUID(), organizationId, at, caller.sub, 'create_team', team.id, requestId, JSON.stringify({ after: team }))
      const id = randomUUID()
      const event = {
        specversion: '1.0',
        id,
        source: '/functions/users',
        type: 'coder.users.team.created',
        subject: team.id,
        time: at,
        organizationid: organizationId,
        data: { teamId: team.id, name, parentTeamId: team.parentTeamId, actor: { type: 'user', id: caller.sub } }
      }
      emit.run(id, event.type, JSON.stringify(event))
      return team
    })
    return create.immediate
  }
}

// Moves committed events into the queue: first there, then gone from here.
class Outbox {
  #waiting
  #enqueue
  #forget

  constructor (documents, queue) {
    queue.exec(`CREATE TABLE IF NOT EXISTS messages(
      seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, visible INTEGER NOT NULL,
      body TEXT NOT NULL)`)
    this.#waiting = documents.prepare('SELECT * FROM outbox ORDER BY seq LIMIT ?')
    const insert = queue.prepare('INSERT INTO messages(id, type, visible, body) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING')
    this.#enqueue = queue.transaction((events) => {
      for (const { id, type, event } of events) insert.run(id, type, Date.now(), event)
    })
    const remove = documents.prepare('DELETE FROM outbox WHERE seq = ?')
    this.#forget = documents.transaction((events) => { for (const { seq } of events) remove.run(seq) })
  }

  publish () {
    for (;;) {
      const events = this.#waiting.all(BATCH)
      if (events.length === 0) return
      this.#enqueue(events)
      this.#forget(events)
    }
  }
}
