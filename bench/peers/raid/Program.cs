using System.Globalization;
using Evenkeel.RaidBench;

if (args is ["serve", .. var served]) return await Serve.RunAsync(served);
var rounds = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 5;
var parts = args.Length > 1 ? args[1..] : ["parity", "memory", "file", "array", "mirror", "resync"];
using var work = new WorkDirectory();
foreach (var part in parts)
{
    var table = new Table();
    switch (part)
    {
        case "parity": ParityPart.Run(table, rounds); break;
        case "memory": await ServerPart.MemoryAsync(table, rounds, work); break;
        case "file": await ServerPart.FileAsync(table, rounds, work); break;
        case "array": await ArrayPart.RunAsync(table, rounds, work); break;
        case "mirror": await MirrorPart.RunAsync(table, rounds, work); break;
        case "resync": await ResyncPart.RunAsync(table); break;
        default: throw new ArgumentException($"'{part}' is no part.");
    }

    Console.WriteLine($"{part}:");
    table.Print();
}

return 0;
