// Configurations and edge deployments. The devices are there already: one in the north, one in the south, a gateway.

'use strict';

const { assert, body, main, refused, same, step, until } = require('./steps');

const NORTH = "tags.site = 'north'";
const MINE = 'SELECT deviceId FROM devices WHERE properties.desired.interval = 5';
const EDGE = { $edgeAgent: { 'properties.desired': { schemaVersion: '1.1' } }, sensor: { 'properties.desired.rate': 3 } };
const GONE = ['Error', 404, 'ConfigurationNotFound'];

const deviceContent = (interval) => ({ deviceContent: { 'properties.desired.interval': interval } });

main(async (hub) => {
  const read = (id) => body(hub.getConfiguration(id));
  const desired = async (id) => (await body(hub.getTwin(id))).properties.desired;
  const rate = async () => (await body(hub.getModuleTwin('gateway', 'sensor'))).properties.desired.rate;

  await step('create', async () => {
    const made = await body(
      hub.addConfiguration({
        id: 'interval',
        content: deviceContent(5),
        targetCondition: NORTH,
        priority: 10,
        labels: { for: 'tests' },
        metrics: { queries: { mine: MINE } },
      }),
    );
    same([made.id, made.targetCondition, made.priority, made.labels], ['interval', NORTH, 10, { for: 'tests' }]);
    same(made.etag, 'MQ==');
    assert(made.createdTimeUtc && made.lastUpdatedTimeUtc);
  });

  await step('create what exists', () =>
    refused('DeviceAlreadyExistsError', 409, 'ConfigurationAlreadyExists', () =>
      hub.addConfiguration({ id: 'interval', content: deviceContent(6) })));

  await step('create with content of no kind', () =>
    refused('ArgumentError', 400, 'InvalidConfigurationContent', () =>
      hub.addConfiguration({ id: 'bad', content: { deviceContent: { interval: 5 } } })));

  await step('read', async () => {
    const { content, metrics } = await read('interval');
    same(content.deviceContent, { 'properties.desired.interval': 5 });
    same(metrics.queries, { mine: MINE });
  });

  await step('read what does not exist', () => refused(...GONE, () => hub.getConfiguration('no-such-configuration')));

  await step('it reaches the devices it is for', async () => {
    await until(async () => (await desired('north')).interval === 5);
    assert(!('interval' in (await desired('south'))));
  });

  await step('metrics', async () => {
    const wanted = JSON.stringify([{ targetedCount: 1, appliedCount: 1 }, { mine: 1 }]);
    await until(async () => {
      const { systemMetrics: { results: { targetedCount, appliedCount } }, metrics } = await read('interval');
      return JSON.stringify([{ targetedCount, appliedCount }, metrics.results]) === wanted;
    });
  });

  await step('update', async () => {
    const updated = await body(hub.updateConfiguration({ ...(await read('interval')), priority: 20 }));
    same([updated.priority, updated.etag], [20, 'Mg==']);
  });

  await step('update in an old version', async () => {
    const old = { ...(await read('interval')), etag: 'MQ==' };
    await refused('InvalidEtagError', 412, 'PreconditionFailed', () => hub.updateConfiguration(old));
  });

  await step('another content is not taken', async () => {
    const updated = await body(hub.updateConfiguration({ ...(await read('interval')), content: deviceContent(6) }));
    same(updated.content.deviceContent, { 'properties.desired.interval': 5 });
  });

  await step('deploy modules to edge devices', async () => {
    await hub.addConfiguration({
      id: 'deployment',
      content: { modulesContent: EDGE },
      targetCondition: 'tags.edge = true',
      priority: 1,
    });
    await until(async () => (await body(hub.getModulesOnDevice('gateway'))).some((it) => it.moduleId === 'sensor'));
    await until(async () => (await rate()) === 3);
  });

  await step('list', async () => {
    same((await body(hub.getConfigurations())).map((it) => it.id).sort(), ['deployment', 'interval']);
  });

  await step('set the modules of one edge device', async () => {
    await hub.removeConfiguration('deployment');
    const modulesContent = { ...EDGE, sensor: { 'properties.desired.rate': 4 } };
    await hub.applyConfigurationContentOnDevice('gateway', { modulesContent });
    same(await rate(), 4);
  });

  await step('set the modules of a plain device', () =>
    refused('ArgumentError', 400, 'ArgumentInvalid', () =>
      hub.applyConfigurationContentOnDevice('north', { modulesContent: EDGE })));

  await step('delete', async () => {
    await hub.removeConfiguration('interval');
    await refused(...GONE, () => hub.getConfiguration('interval'));
    // What it wrote stays.
    same((await desired('north')).interval, 5);
  });

  await step('delete what does not exist', () => refused(...GONE, () => hub.removeConfiguration('no-such-configuration')));
});
