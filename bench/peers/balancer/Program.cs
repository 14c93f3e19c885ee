using System.Globalization;
using Evenkeel.BalancerBench;

if (args is ["serve", .. var rest]) return await Serve.RunAsync(rest);
using var bench = new Bench();
await bench.RunAsync(args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 2, args.Length > 1 ? args[1..] : []);
return 0;
