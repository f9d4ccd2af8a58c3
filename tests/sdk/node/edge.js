// Edge gateways, and the devices behind them.

'use strict';

const { assert, body, main, refused, same, step } = require('./steps');

main(async (hub) => {
  const read = (deviceId) => body(hub.get(deviceId));
  const scope = async (deviceId) => (await read(deviceId)).deviceScope;
  const capabilities = { iotEdge: true };

  await step('create a gateway', async () => {
    const gateway = await body(hub.create({ deviceId: 'gateway', capabilities }));
    assert(gateway.capabilities.iotEdge && gateway.deviceScope.startsWith('ms-azure-iot-edge://gateway-'));
    const modules = await body(hub.getModulesOnDevice('gateway'));
    same(modules.map((it) => it.moduleId).sort(), ['$edgeAgent', '$edgeHub']);
  });

  await step('create a device behind it', async () => {
    const deviceScope = await scope('gateway');
    const leaf = await body(hub.create({ deviceId: 'leaf', deviceScope }));
    same([leaf.deviceScope, leaf.parentScopes], [deviceScope, [deviceScope]]);
  });

  await step('create a gateway behind it', async () => {
    const parentScopes = [await scope('gateway')];
    const lower = await body(hub.create({ deviceId: 'lower', capabilities, parentScopes }));
    same(lower.parentScopes, parentScopes);
    assert(lower.deviceScope.startsWith('ms-azure-iot-edge://lower-'));
  });

  await step('find what is behind it', async () => {
    const text = `SELECT * FROM devices WHERE ARRAY_CONTAINS(parentScopes, '${await scope('gateway')}')`;
    const { result } = await hub.createQuery(text).nextAsTwin();
    same(result.map((twin) => twin.deviceId).sort(), ['leaf', 'lower']);
  });

  await step('move to another gateway', async () => {
    const deviceScope = await scope('lower');
    const { parentScopes, ...leaf } = await read('leaf');
    same(parentScopes.length, 1);
    const moved = await body(hub.update({ ...leaf, deviceScope }));
    same([moved.deviceScope, moved.parentScopes], [deviceScope, [deviceScope]]);
  });

  await step('a gateway keeps its scope', async () => {
    const { deviceScope, ...lower } = await read('lower');
    await refused('ArgumentError', 400, 'InvalidDeviceScope', () => hub.update(lower));
    same(await scope('lower'), deviceScope);
  });

  await step('take from behind its gateway', async () => {
    const leaf = await read('leaf');
    delete leaf.deviceScope;
    delete leaf.parentScopes;
    await hub.update(leaf);
    const lower = await read('lower');
    await hub.update({ ...lower, parentScopes: [] });
    const free = await read('leaf');
    same([free.deviceScope, free.parentScopes || []], [undefined, []]);
    const now = await read('lower');
    same([now.deviceScope, now.parentScopes || []], [lower.deviceScope, []]);
  });
});
