import { getOneMessage, sendMessage } from 'execa';

await sendMessage(process.channel.protocol);
const { count } = await getOneMessage();
for (let i = 0; i < count; i++) await sendMessage(i);
await sendMessage('last');
