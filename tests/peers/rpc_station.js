// A station on npm's ocpp-rpc in strict mode: every frame that either side sends is checked against its schemas.
// Arguments: endpoint, id, secret, protocol. Writes JSON lines; one line on its input ends the session.
'use strict';
const { RPCClient } = require('ocpp-rpc');

const [endpoint, identity, password, protocol] = process.argv.slice(2);
const old = protocol === 'ocpp1.6';
const stamp = () => new Date().toISOString();
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');
const asked = [];
const failures = [];

const station = new RPCClient({ endpoint, identity, password, protocols: [protocol], strictMode: true, reconnect: false });
station.on('strictValidationFailure', ({ method, outbound, error }) => failures.push({ method, outbound, why: String(error) }));

const same = (list) => list.map(({ component, variable }) => ({ component, variable }));
const answers = {
  SetVariables: (p) => ({ setVariableResult: same(p.setVariableData).map((v) => ({ ...v, attributeStatus: 'Accepted' })) }),
  GetVariables: (p) => ({
    getVariableResult: same(p.getVariableData).map((v) => ({ ...v, attributeStatus: 'UnknownVariable' })),
  }),
  GetConfiguration: () => ({ configurationKey: [] }),
  GetBaseReport: () => ({ status: 'NotSupported' }),
  GetCompositeSchedule: () => ({ status: 'Rejected' }),
};
station.handle(({ method, params }) => {
  asked.push([method, params]);
  return (answers[method] || (() => ({ status: 'Accepted' })))(params);
});

const register = (wh) => [{ timestamp: stamp(), sampledValue: [{ value: old ? String(wh) : wh }] }];

async function start() {
  if (old) {
    await station.call('BootNotification', { chargePointVendor: 'Peer', chargePointModel: 'R' });
    await station.call('StatusNotification', { connectorId: 1, errorCode: 'NoError', status: 'Preparing' });
    const authorized = await station.call('Authorize', { idTag: 'BUS-1' });
    const started = await station.call('StartTransaction', {
      connectorId: 1, idTag: 'BUS-1', meterStart: 1000, timestamp: stamp(),
    });
    await station.call('MeterValues', { connectorId: 1, transactionId: started.transactionId, meterValue: register(1200) });
    return [authorized.idTagInfo.status, started.transactionId];
  }
  await station.call('BootNotification', { reason: 'PowerUp', chargingStation: { vendorName: 'Peer', model: 'R' } });
  await station.call('StatusNotification', {
    timestamp: stamp(), connectorStatus: 'Occupied', evseId: 1, connectorId: 1,
  });
  const idToken = { idToken: 'BUS-1', type: 'ISO14443' };
  const authorized = await station.call('Authorize', { idToken });
  await station.call('TransactionEvent', {
    eventType: 'Started', timestamp: stamp(), triggerReason: 'Authorized', seqNo: 0,
    transactionInfo: { transactionId: 'tx-1', chargingState: 'Charging' }, evse: { id: 1 }, idToken, meterValue: register(1000),
  });
  await station.call('TransactionEvent', {
    eventType: 'Updated', timestamp: stamp(), triggerReason: 'MeterValuePeriodic', seqNo: 1,
    transactionInfo: { transactionId: 'tx-1' }, meterValue: register(1200),
  });
  return [authorized.idTokenInfo.status, 'tx-1'];
}

async function stop(transactionId) {
  if (old) {
    await station.call('StopTransaction', { transactionId, meterStop: 1500, timestamp: stamp(), reason: 'EVDisconnected' });
  } else {
    await station.call('TransactionEvent', {
      eventType: 'Ended', timestamp: stamp(), triggerReason: 'EVCommunicationLost', seqNo: 2,
      transactionInfo: { transactionId, stoppedReason: 'EVDisconnected' }, meterValue: register(1500),
    });
  }
  await station.call('Heartbeat', {});
}

async function main() {
  await station.connect();
  const [authorized, transactionId] = await start();
  say({ authorized, transactionId, protocol: station.protocol });
  await new Promise((resolve) => process.stdin.once('data', resolve));
  await stop(transactionId);
  say({ asked, failures });
  await station.close();
  process.exit(0);
}

main().catch((error) => {
  say({ error: String(error), failures });
  process.exit(1);
});
