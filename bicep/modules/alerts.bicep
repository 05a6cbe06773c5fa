// What people are told of: failures, dead letters, throttling, late jobs, a full gateway, and money.

@description('Region of the alert rules that read logs.')
param location string

@description('Whom alerts reach.')
param actionGroupId string

@description('Mail addresses that hear of the budget.')
param alertEmails array

@description('Application Insights component.')
param insightsId string

@description('The document account.')
param documentsId string

@description('The broker\'s namespace.')
param messagingId string

@description('The gateway.')
param gatewayId string

@description('Whether this is production: containers have throughput of their own that can be used up.')
param isProduction bool

@description('The money that a month may cost, in the currency of the subscription.')
param monthlyBudget int

@description('First day of the month in which the budget begins, such as 2027-01-01.')
param budgetStart string

@description('Tags of every resource.')
param tags object

var broker = loadJsonContent('../platform.json').broker

var busy = {
  name: 'documents-busy'
  summary: 'A partition of a container uses nine tenths of its throughput: raise maxContainerThroughput before it is refused.'
  target: documentsId
  metric: 'NormalizedRUConsumption'
  namespace: 'Microsoft.DocumentDB/databaseAccounts'
  dimension: ''
  values: []
  aggregation: 'Maximum'
  threshold: 90
  severity: 3
}

var always = [
  {
    name: 'dead-letters-events'
    summary: 'Events that the broker gave up lie in a dead-letter queue, and no app fetches them.'
    target: messagingId
    metric: 'DeadletteredMessages'
    namespace: 'Microsoft.ServiceBus/namespaces'
    dimension: 'EntityName'
    values: [broker.events.topic]
    aggregation: 'Maximum'
    threshold: 0
    severity: 2
  }
  {
    name: 'dead-letters-jobs'
    summary: 'One-time jobs that the broker gave up lie in a dead-letter queue, and no app fetches them.'
    target: messagingId
    metric: 'DeadletteredMessages'
    namespace: 'Microsoft.ServiceBus/namespaces'
    dimension: 'EntityName'
    values: [broker.jobs.topic]
    aggregation: 'Maximum'
    threshold: 0
    severity: 2
  }
  {
    name: 'documents-throttled'
    summary: 'The document store refuses requests because a container has used up its throughput.'
    target: documentsId
    metric: 'TotalRequests'
    namespace: 'Microsoft.DocumentDB/databaseAccounts'
    dimension: 'StatusCode'
    values: ['429']
    aggregation: 'Count'
    threshold: 100
    severity: 2
  }
  {
    name: 'gateway-full'
    summary: 'The gateway is near its capacity; add a unit.'
    target: gatewayId
    metric: 'CpuPercent_Gateway'
    namespace: 'Microsoft.ApiManagement/service'
    dimension: ''
    values: []
    aggregation: 'Average'
    threshold: 75
    severity: 3
  }
]
var metrics = isProduction ? concat(always, [busy]) : always

var queries = [
  {
    name: 'failing-requests'
    summary: 'More than one request in a hundred fails.'
    query: 'requests | summarize total = sum(itemCount), failed = sumif(itemCount, toint(resultCode) >= 500) | where total > 100 and failed * 100.0 / total > 1'
    severity: 1
  }
  {
    name: 'slow-requests'
    summary: 'One request in twenty takes longer than two seconds, streams left out.'
    query: 'requests | where name !has "stream" | summarize slow = percentile(duration, 95), total = sum(itemCount) | where total > 100 and slow > 2000'
    severity: 3
  }
  // What a broker's dead-letter queue never shows: the apps keep it as documents at once.
  {
    name: 'dead-letters-kept'
    summary: 'A consumer could not take an event: /api/<group>/operations/dead-letters says which and why.'
    query: 'traces | where message contains "a message went to the dead letters" | summarize letters = sum(itemCount) by cloud_RoleName'
    severity: 2
  }
  {
    name: 'jobs-given-up'
    summary: 'A one-time job was tried as often as it may be, or lay unbegun: /api/<group>/operations/jobs says which.'
    query: 'traces | where message contains "a job was given up" or message contains "a job was forgotten and is called again" or message contains "a forgotten job is not called" | summarize jobs = sum(itemCount) by cloud_RoleName'
    severity: 2
  }
  {
    name: 'late-jobs'
    summary: 'A timer or a one-time job has failed several times.'
    query: 'requests | where operation_Name startswith "every-" or operation_Name == "run-job" | where success == false | summarize failures = sum(itemCount) by cloud_RoleName, operation_Name | where failures > 3'
    severity: 2
  }
]

resource metricAlert 'Microsoft.Insights/metricAlerts@2018-03-01' = [for one in metrics: {
  name: one.name
  location: 'global'
  tags: tags
  properties: {
    description: one.summary
    severity: one.severity
    enabled: true
    scopes: [one.target]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: one.name
          metricNamespace: one.namespace
          metricName: one.metric
          dimensions: empty(one.dimension) ? [] : [{ name: one.dimension, operator: 'Include', values: one.values }]
          operator: 'GreaterThan'
          threshold: one.threshold
          timeAggregation: one.aggregation
        }
      ]
    }
    actions: [{ actionGroupId: actionGroupId }]
  }
}]

resource queryAlert 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for one in queries: {
  name: one.name
  location: location
  tags: tags
  properties: {
    displayName: one.name
    description: one.summary
    severity: one.severity
    enabled: true
    scopes: [insightsId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      allOf: [
        { query: one.query, timeAggregation: 'Count', operator: 'GreaterThan', threshold: 0 }
      ]
    }
    actions: { actionGroups: [actionGroupId] }
  }
}]

resource budget 'Microsoft.Consumption/budgets@2024-08-01' = {
  name: 'coder'
  properties: {
    category: 'Cost'
    amount: monthlyBudget
    timeGrain: 'Monthly'
    timePeriod: { startDate: budgetStart }
    notifications: {
      most: { enabled: true, operator: 'GreaterThan', threshold: 80, thresholdType: 'Actual', contactEmails: alertEmails }
      expected: { enabled: true, operator: 'GreaterThan', threshold: 100, thresholdType: 'Forecasted', contactEmails: alertEmails }
    }
  }
}
