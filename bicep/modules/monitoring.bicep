// Where telemetry goes: the log workspace, Application Insights, and whom alerts reach.

@description('Region of the resources.')
param location string

@description('Distinguishes environments in names, such as `dev`.')
param environmentName string

@description('Whether this is production: logs are kept longer.')
param isProduction bool

@description('Mail addresses that alerts reach.')
param alertEmails array

@description('Most gigabytes of logs a day; -1 for no bound. What comes after is dropped until midnight UTC.')
param dailyGigabytes int

@description('The identities of the groups: `group`, `principalId`.')
param identities array

@description('Tags of every resource.')
param tags object

var access = loadJsonContent('../access.json')

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: 'log-coder-${environmentName}'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: isProduction ? 90 : 30
    workspaceCapping: { dailyQuotaGb: dailyGigabytes }
    features: { disableLocalAuth: true }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-coder-${environmentName}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    IngestionMode: 'LogAnalytics'
    DisableLocalAuth: true
  }
}

resource telemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for identity in identities: {
  name: guid(insights.id, identity.group, access.grants.telemetry.role)
  scope: insights
  properties: {
    principalId: identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', access.roles[access.grants.telemetry.role])
  }
}]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-coder-${environmentName}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'coder'
    enabled: true
    emailReceivers: [for (address, i) in alertEmails: {
      name: 'mail-${i}'
      emailAddress: address
      useCommonAlertSchema: true
    }]
  }
}

@description('Log workspace.')
output workspaceId string = workspace.id
@description('Application Insights component.')
output insightsId string = insights.id
@description('Name of the component.')
output insightsName string = insights.name
@description('Where the component takes telemetry. It names a place and opens nothing: keys are switched off.')
output insightsConnection string = insights.properties.ConnectionString
@description('Whom alerts reach.')
output actionGroupId string = people.id
