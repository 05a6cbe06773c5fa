// What both processes are told, read once.

import { createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'

const wanted = (name) => {
  const value = process.env[name]
  if (value === undefined) throw new Error(`set \`${name}\``)
  return value
}

export const host = '127.0.0.1'
export const port = Number(process.env.PORT ?? 0)
export const issuer = wanted('ISSUER')
export const limitPerMinute = Number(process.env.LIMIT_PER_MINUTE ?? 600)

// The first key of a JWK set on disk, in PEM.
export const publicKey = () => {
  const { keys: [key] } = JSON.parse(readFileSync(wanted('JWKS'), 'utf8'))
  return createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
}

export const upstream = () => wanted('UPSTREAM')
export const dataDirectory = () => wanted('DATA_DIR')
export const synchronous = process.env.SYNCHRONOUS ?? 'FULL'

// What both servers have in common: warnings are logged, requests are not.
export const server = {
  logger: { level: 'warn' },
  keepAliveTimeout: 75_000,
  requestIdHeader: 'x-request-id',
  bodyLimit: 1024 * 1024
}
