// The cache: Managed Redis, which shares rate limits and revocations among all instances. It holds nothing that
// cannot be lost.

@description('Region of the cache.')
param location string

@description('Name of the cache, unique in the region.')
param cacheName string

@description('Whether this is production: two nodes, private.')
param isProduction bool

@description('The identities of the groups: `group`, `principalId`.')
param identities array

@description('Tags of every resource.')
param tags object

resource cache 'Microsoft.Cache/redisEnterprise@2025-07-01' = {
  name: cacheName
  location: location
  tags: tags
  sku: { name: isProduction ? 'Balanced_B1' : 'Balanced_B0' }
  identity: { type: 'None' }
  properties: {
    minimumTlsVersion: '1.2'
    highAvailability: isProduction ? 'Enabled' : 'Disabled'
    publicNetworkAccess: isProduction ? 'Disabled' : 'Enabled'
  }
}

// One address for all shards: the client does not speak the protocol of clusters.
resource database 'Microsoft.Cache/redisEnterprise/databases@2025-07-01' = {
  parent: cache
  name: 'default'
  properties: {
    port: 10000
    clientProtocol: 'Encrypted'
    accessKeysAuthentication: 'Disabled'
    clusteringPolicy: 'EnterpriseCluster'
    evictionPolicy: 'VolatileTTL'
  }
}

// `default` is the only policy there is: every app can read every key.
@batchSize(1)
resource access 'Microsoft.Cache/redisEnterprise/databases/accessPolicyAssignments@2025-07-01' = [for identity in identities: {
  parent: database
  name: replace(identity.group, '-', '')
  properties: { accessPolicyName: 'default', user: { objectId: identity.principalId } }
}]

@description('The cache.')
output cacheId string = cache.id
@description('Host name of the cache; its port is 10000.')
output hostName string = cache.properties.hostName
