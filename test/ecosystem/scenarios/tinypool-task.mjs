export default function run({ i, fails }) {
  if (fails) throw new Error('as it was told');
  return { square: i * i, protocol: process.channel.protocol };
}
