// The broker: a topic of events and one of one-time jobs, each with a subscription for every group that takes
// part, and for each group the right to its own subscriptions alone.

@description('Region of the namespace.')
param location string

@description('Name of the namespace, unique in all of Azure.')
param namespaceName string

@description('Whether this is production: a reserved unit, private.')
param isProduction bool

@description('The groups, each with `name`, `containers`, `subscription` and `takesJobs`.')
param groups array

@description('The identities of the groups: `group`, `principalId`.')
param identities array

@description('Log workspace that takes the namespace\'s audit.')
param workspaceId string

@description('Tags of every resource.')
param tags object

var access = loadJsonContent('../access.json')
// As the broker of one machine treats messages, too.
var broker = loadJsonContent('../platform.json').broker

var publishing = filter(groups, group => !empty(group.containers))
var consuming = filter(groups, group => group.subscription != null)
var working = filter(groups, group => group.takesJobs)

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' = {
  name: namespaceName
  location: location
  tags: tags
  sku: {
    name: isProduction ? 'Premium' : 'Standard'
    tier: isProduction ? 'Premium' : 'Standard'
    capacity: isProduction ? 1 : null
  }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    publicNetworkAccess: isProduction ? 'Disabled' : 'Enabled'
    zoneRedundant: isProduction
  }
  // Duplicates are recognised, since what a process published right before it died is published again.
  resource events 'topics' = {
    name: broker.events.topic
    properties: {
      requiresDuplicateDetection: true
      duplicateDetectionHistoryTimeWindow: broker.duplicateWindow
      defaultMessageTimeToLive: broker.events.timeToLive
    }
  }
  // A topic and not a queue, so that every group has a subscription of its own, and the right to no other.
  resource jobs 'topics' = {
    name: broker.jobs.topic
    properties: {
      requiresDuplicateDetection: true
      duplicateDetectionHistoryTimeWindow: broker.duplicateWindow
      defaultMessageTimeToLive: broker.jobs.timeToLive
    }
  }
}

// Sessions keep the events of one subject in order, for the groups that ask for it.
resource events 'Microsoft.ServiceBus/namespaces/topics/subscriptions@2024-01-01' = [for group in consuming: {
  parent: namespace::events
  name: group.name
  properties: {
    requiresSession: group.subscription.ordered
    lockDuration: broker.events.lock
    maxDeliveryCount: broker.events.maxDeliveries
    deadLetteringOnMessageExpiration: true
    deadLetteringOnFilterEvaluationExceptions: true
    defaultMessageTimeToLive: broker.events.timeToLive
  }
}]

// A new subscription has a rule `$Default` that lets everything pass, and rules are alternatives: so ours replaces it.
resource eventFilter 'Microsoft.ServiceBus/namespaces/topics/subscriptions/rules@2024-01-01' = [for (group, i) in consuming: {
  parent: events[i]
  name: '$Default'
  properties: {
    filterType: 'SqlFilter'
    sqlFilter: { sqlExpression: group.subscription.filter }
  }
}]

// The record of a job says how often it is tried; the broker's count only bounds what no handler could read.
resource jobs 'Microsoft.ServiceBus/namespaces/topics/subscriptions@2024-01-01' = [for group in working: {
  parent: namespace::jobs
  name: group.name
  properties: {
    lockDuration: broker.jobs.lock
    maxDeliveryCount: broker.jobs.maxDeliveries
    deadLetteringOnMessageExpiration: true
    deadLetteringOnFilterEvaluationExceptions: true
    defaultMessageTimeToLive: broker.jobs.timeToLive
  }
}]

resource jobFilter 'Microsoft.ServiceBus/namespaces/topics/subscriptions/rules@2024-01-01' = [for (group, i) in working: {
  parent: jobs[i]
  name: '$Default'
  properties: {
    filterType: 'CorrelationFilter'
    correlationFilter: { properties: { target: group.name } }
  }
}]

resource sendEvents 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for group in publishing: {
  name: guid(namespace::events.id, group.name, access.grants.sendEvents.role)
  scope: namespace::events
  properties: {
    principalId: first(filter(identities, identity => identity.group == group.name)).principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', access.roles[access.grants.sendEvents.role])
  }
}]

resource sendJobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for group in publishing: {
  name: guid(namespace::jobs.id, group.name, access.grants.sendJobs.role)
  scope: namespace::jobs
  properties: {
    principalId: first(filter(identities, identity => identity.group == group.name)).principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', access.roles[access.grants.sendJobs.role])
  }
}]

resource receiveEvents 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (group, i) in consuming: {
  name: guid(namespace.id, 'events', group.name, access.grants.receiveEvents.role)
  scope: events[i]
  properties: {
    principalId: first(filter(identities, identity => identity.group == group.name)).principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', access.roles[access.grants.receiveEvents.role])
  }
}]

resource receiveJobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (group, i) in working: {
  name: guid(namespace.id, 'jobs', group.name, access.grants.receiveJobs.role)
  scope: jobs[i]
  properties: {
    principalId: first(filter(identities, identity => identity.group == group.name)).principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', access.roles[access.grants.receiveJobs.role])
  }
}]

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'workspace'
  scope: namespace
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'OperationalLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('The namespace.')
output namespaceId string = namespace.id
@description('Host name of the namespace.')
output hostName string = '${namespace.name}.servicebus.windows.net'
