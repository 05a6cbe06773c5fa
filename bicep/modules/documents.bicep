// The document store: one Cosmos DB account and database, the containers that the groups declare, and for each
// group the right to its own containers alone.

@description('Region of the account.')
param location string

@description('Name of the account, unique in all of Azure.')
param accountName string

@description('Whether this is production: scaled by container instead of paid by request, and private.')
param isProduction bool

@description('The groups, each with `name` and the `containers` of the manifest.')
param groups array

@description('The identities of the groups: `group`, `principalId`.')
param identities array

@description('Most request units a second of one container in production; it costs a tenth of that when idle.')
@minValue(1000)
param maxThroughput int

@description('Log workspace that takes the account\'s metrics and audit.')
param workspaceId string

@description('Tags of every resource.')
param tags object

var access = loadJsonContent('../access.json')

var storing = filter(groups, group => !empty(group.containers))

// What queries sort by: the type first, then a declared field. Indexes that do not begin with the type are there to find
// by their first field what is sorted by their last; a level of the partition key is never sorted by.
var declared = flatten(map(storing, group => map(group.containers, container => {
  group: group.name
  name: container.name
  vectors: container.vectors
  paths: container.partitionKey
  keys: map(container.partitionKey, path => substring(path, 1))
  sorts: filter(
    distinct(map(container.indexes, index => first(index.fields) == 'type' ? join(index.fields, ',') : 'type,${last(index.fields)}')),
    sort => !contains(container.partitionKey, '/${last(split(sort, ','))}')
  )
})))

// A query that sorts by several fields needs an index of exactly these. The id makes an order total, and where several
// partitions are read, so do the levels of the partition key that the query leaves open: all, or all but the first.
var containers = map(declared, one => {
  group: one.group
  name: one.name
  vectors: one.vectors
  paths: one.paths
  orders: concat(
    map(one.sorts, sort => '${sort},id'),
    map(one.sorts, sort => '${sort},id,${join(one.keys, ',')}'),
    [join(concat(one.keys, ['id']), ','), join(concat(['type'], one.keys, ['id']), ',')],
    length(one.keys) > 1 ? map(one.sorts, sort => '${sort},id,${join(skip(one.keys, 1), ',')}') : [],
    length(one.keys) > 1 ? ['id,${join(skip(one.keys, 1), ',')}', 'type,id,${join(skip(one.keys, 1), ',')}'] : []
  )
})

resource account 'Microsoft.DocumentDB/databaseAccounts@2025-10-15' = {
  name: accountName
  location: location
  tags: tags
  kind: 'GlobalDocumentDB'
  properties: {
    databaseAccountOfferType: 'Standard'
    disableLocalAuth: true
    disableKeyBasedMetadataWriteAccess: true
    minimalTlsVersion: 'Tls12'
    publicNetworkAccess: isProduction ? 'Disabled' : 'Enabled'
    capabilities: concat(
      [{ name: 'EnableNoSQLVectorSearch' }],
      isProduction ? [] : [{ name: 'EnableServerless' }]
    )
    locations: [{ locationName: location, failoverPriority: 0, isZoneRedundant: isProduction }]
    consistencyPolicy: { defaultConsistencyLevel: 'Session' }
    backupPolicy: {
      type: 'Continuous'
      continuousModeProperties: { tier: isProduction ? 'Continuous30Days' : 'Continuous7Days' }
    }
  }
  resource database 'sqlDatabases' = {
    name: 'coder'
    properties: { resource: { id: 'coder' } }
  }
}

// Partition key and vectors cannot be changed later: a change is a new container and a copy.
@batchSize(4)
resource container 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers@2025-10-15' = [for one in containers: {
  parent: account::database
  name: one.name
  tags: tags
  properties: {
    resource: {
      id: one.name
      // Documents expire only where they say so themselves.
      defaultTtl: -1
      partitionKey: { version: 2, kind: length(one.paths) > 1 ? 'MultiHash' : 'Hash', paths: one.paths }
      indexingPolicy: {
        indexingMode: 'consistent'
        automatic: true
        includedPaths: [{ path: '/*' }]
        excludedPaths: concat(
          [{ path: '/"_etag"/?' }],
          map(one.vectors, vector => { path: '/${vector.field}/*' })
        )
        // Each serves the opposite order as well.
        compositeIndexes: map(one.orders, order => map(split(order, ','), field => {
          path: '/${replace(field, '.', '/')}'
          order: 'ascending'
        }))
        vectorIndexes: map(one.vectors, vector => {
          path: '/${vector.field}'
          type: vector.dimensions > 505 ? 'diskANN' : 'quantizedFlat'
        })
      }
      vectorEmbeddingPolicy: {
        vectorEmbeddings: map(one.vectors, vector => {
          path: '/${vector.field}'
          dataType: 'float32'
          dimensions: vector.dimensions
          distanceFunction: 'cosine'
        })
      }
    }
    options: isProduction ? { autoscaleSettings: { maxThroughput: maxThroughput } } : {}
  }
}]

resource metadataReader 'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions@2025-10-15' = {
  parent: account
  name: guid(account.id, 'metadata-reader')
  properties: {
    roleName: 'Metadata reader'
    type: 'CustomRole'
    assignableScopes: [account.id]
    permissions: [{ dataActions: ['Microsoft.DocumentDB/databaseAccounts/readMetadata'] }]
  }
}

// One after the other: the account refuses changes of its rights that come at the same time.
@batchSize(1)
resource ownContainers 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-10-15' = [for (one, i) in containers: {
  parent: account
  name: guid(account.id, one.group, one.name, access.grants.ownContainers.role)
  properties: {
    principalId: first(filter(identities, identity => identity.group == one.group)).principalId
    scope: '${account.id}/dbs/coder/colls/${container[i].name}'
    roleDefinitionId: '${account.id}/sqlRoleDefinitions/${access.roles[access.grants.ownContainers.role]}'
  }
}]

@batchSize(1)
resource accountMetadata 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-10-15' = [for group in storing: {
  parent: account
  name: guid(account.id, group.name, access.grants.accountMetadata.role)
  dependsOn: [ownContainers]
  properties: {
    principalId: first(filter(identities, identity => identity.group == group.name)).principalId
    scope: account.id
    roleDefinitionId: metadataReader.id
  }
}]

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'workspace'
  scope: account
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [{ category: 'ControlPlaneRequests', enabled: true }, { category: 'PartitionKeyRUConsumption', enabled: isProduction }]
    metrics: [{ category: 'Requests', enabled: true }]
  }
}

@description('The account.')
output accountId string = account.id
@description('Address of the account.')
output endpoint string = account.properties.documentEndpoint
