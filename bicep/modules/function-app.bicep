// The function app of one route group: its plan, its storage account and the app itself. What the app is told comes
// later (app-settings.bicep), since it names the other apps.

@description('Region of the app.')
param location string

@description('Name of the route group.')
param group string

@description('Distinguishes environments in names, such as `dev`.')
param environmentName string

@description('A few letters that make names unique in all of Azure.')
param suffix string

@description('Whether this is production: private, in several zones, with instances that are always ready.')
param isProduction bool

@description('The identity of the group: `id`, `principalId`.')
param identity object

@description('Most instances of the app.')
@minValue(1)
@maxValue(1000)
param maxInstances int

@description('Subnet through which the app reaches the services; empty outside the private network.')
param subnetId string

@description('Log workspace that takes the host\'s logs.')
param workspaceId string

@description('Tags of every resource.')
param tags object

var access = loadJsonContent('../access.json')

// The host is told apart by the first 32 characters of this name.
var siteName = 'func-coder-${group}-${environmentName}-${suffix}'
// Group names are unique in their first 11 letters; a storage account's name has 24 letters and digits at most.
var storageName = 'st${take(replace(group, '-', ''), 11)}${take(environmentName, 4)}${suffix}'
var packageContainer = 'app-package'

// Its own account: hosts keep packages, leases and keys there, and one app must not replace another's.
resource storage 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: storageName
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: isProduction ? 'Standard_ZRS' : 'Standard_LRS' }
  properties: {
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: isProduction ? 'Disabled' : 'Enabled'
    networkAcls: { defaultAction: isProduction ? 'Deny' : 'Allow', bypass: 'AzureServices' }
  }
  resource blobs 'blobServices' = {
    name: 'default'
    properties: { deleteRetentionPolicy: { enabled: true, days: 7 } }
    resource packages 'containers' = {
      name: packageContainer
      properties: { publicAccess: 'None' }
    }
  }
}

resource ownBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(storage.id, group, access.grants.ownBlobs.role)
  scope: storage
  properties: {
    principalId: identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', access.roles[access.grants.ownBlobs.role])
  }
}

resource ownTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(storage.id, group, access.grants.ownTables.role)
  scope: storage
  properties: {
    principalId: identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', access.roles[access.grants.ownTables.role])
  }
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: 'asp-coder-${group}-${environmentName}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true, zoneRedundant: isProduction }
}

resource site 'Microsoft.Web/sites@2025-03-01' = {
  name: siteName
  location: location
  tags: union(tags, { group: group })
  kind: 'functionapp,linux'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identity.id}': {} } }
  dependsOn: [ownBlobs]
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: identity.id
    publicNetworkAccess: isProduction ? 'Disabled' : 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storage.properties.primaryEndpoints.blob}${packageContainer}'
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identity.id }
        }
      }
      // Exactly this version: one that is not in the catalogue is accepted, and the app never starts.
      runtime: { name: 'custom', version: '1.0' }
      scaleAndConcurrency: {
        instanceMemoryMB: 512
        maximumInstanceCount: maxInstances
        triggers: { http: { perInstanceConcurrency: 100 } }
        alwaysReady: isProduction ? [{ name: 'http', instanceCount: 2 }] : []
      }
    }
    siteConfig: { minTlsVersion: '1.2', scmMinTlsVersion: '1.2', http20Enabled: true }
  }
  // No password opens the site that takes packages.
  resource scm 'basicPublishingCredentialsPolicies' = { name: 'scm', properties: { allow: false } }
  resource ftp 'basicPublishingCredentialsPolicies' = { name: 'ftp', properties: { allow: false } }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'workspace'
  scope: site
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'AppServiceAuthenticationLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('Name of the app.')
output name string = site.name
@description('The app.')
output siteId string = site.id
@description('Host name of the app.')
output hostName string = site.properties.defaultHostName
@description('Name of its storage account.')
output storageName string = storage.name
@description('Its storage account.')
output storageId string = storage.id
