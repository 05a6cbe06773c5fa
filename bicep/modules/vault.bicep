// The key vault: the key under which customers' data keys are wrapped, and rights to single keys and secrets. The
// values of the secrets are not made here; `deploy` puts the master key in, and people the mail server.

@description('Region of the vault.')
param location string

@description('Distinguishes environments in names, such as `dev`.')
@maxLength(4)
param environmentName string

@description('Whether this is production: private, and keys kept in hardware.')
param isProduction bool

@description('The identities of the groups: `group`, `principalId`. None while the vault is first made.')
param identities array = []

@description('Whether the secret with the mail server is there.')
param hasMailServer bool = false

@description('Log workspace that takes the record of every access; none while the vault is first made.')
param workspaceId string = ''

@description('Tags of every resource.')
param tags object

var access = loadJsonContent('../access.json')

// Here and not in main.bicep, since `deploy` makes the vault before all else: the secrets must be there before rights to
// them are given.
var vaultName = 'kv-coder-${environmentName}-${take(uniqueString(subscription().id, environmentName), 6)}'

var mailing = filter(identities, identity => contains(access.grants.mailServer.groups, identity.group))
var wrapping = filter(identities, identity => contains(access.grants.keyEncryption.groups, identity.group))

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: vaultName
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: isProduction ? 'premium' : 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    publicNetworkAccess: isProduction ? 'Disabled' : 'Enabled'
    networkAcls: { defaultAction: isProduction ? 'Deny' : 'Allow', bypass: 'AzureServices' }
  }
}

// Old versions stay usable for unwrapping; the group wraps anew under the newest. The key has no end, since data
// that nobody can read again would be the price of a missed rotation.
resource keyEncryptionKey 'Microsoft.KeyVault/vaults/keys@2025-05-01' = {
  parent: vault
  name: 'coder-secrets'
  tags: tags
  properties: {
    kty: isProduction ? 'RSA-HSM' : 'RSA'
    keySize: 3072
    keyOps: ['wrapKey', 'unwrapKey']
    attributes: { enabled: true }
    rotationPolicy: {
      lifetimeActions: [{ action: { type: 'rotate' }, trigger: { timeAfterCreate: 'P180D' } }]
    }
  }
}

resource masterSecret 'Microsoft.KeyVault/vaults/secrets@2025-05-01' existing = {
  parent: vault
  name: 'coder-master-key'
}

resource mailSecret 'Microsoft.KeyVault/vaults/secrets@2025-05-01' existing = {
  parent: vault
  name: 'coder-smtp-url'
}

resource masterKey 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for identity in identities: {
  name: guid(vault.id, 'master-key', identity.group, access.grants.masterKey.role)
  scope: masterSecret
  properties: {
    principalId: identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', access.roles[access.grants.masterKey.role])
  }
}]

resource mailServer 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for identity in (hasMailServer ? mailing : []): {
  name: guid(vault.id, 'mail-server', identity.group, access.grants.mailServer.role)
  scope: mailSecret
  properties: {
    principalId: identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', access.roles[access.grants.mailServer.role])
  }
}]

resource keyEncryption 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for identity in wrapping: {
  name: guid(vault.id, 'key-encryption', identity.group, access.grants.keyEncryption.role)
  scope: keyEncryptionKey
  properties: {
    principalId: identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', access.roles[access.grants.keyEncryption.role])
  }
}]

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(workspaceId)) {
  name: 'workspace'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'AuditEvent', enabled: true }]
  }
}

@description('The vault.')
output vaultId string = vault.id
@description('Address of the vault.')
output url string = vault.properties.vaultUri
