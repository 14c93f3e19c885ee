using System.CommandLine;
using Evenkeel.Raid.Hosting;

namespace Evenkeel.Cli.Commands.Raid;

/// <summary><c>raid add|fail|remove|replace|limit</c>: one order each to a running array.</summary>
internal static class MemberCommands
{
    private static Argument<string> Member() => new("MEMBER") { Description = "The member's path or URI, or its slot's number." };

    public static Command CreateAdd()
    {
        var device = new Argument<string>("DEVICE") { Description = "File, block device or NBD URI." };
        return Order("add", "Adds a device: it fills an empty slot, or waits as a hot spare.",
            "One that was a member lately gets only what it missed, by the bitmap. What is on another device is lost.",
            device, parsed => new HostOrder("add", Device: MemberDevices.Full(parsed.GetRequiredValue(device))));
    }

    public static Command CreateFail()
    {
        var member = Member();
        return Order("fail", "Takes a member out of use at once; a hot spare, if there is one, takes its slot.",
            "Refused when data would be lost.", member, parsed => new HostOrder("fail", Named(parsed, member)));
    }

    public static Command CreateRemove()
    {
        var member = Member();
        return Order("remove", "Forgets a faulty member or a spare and closes its device.",
            "A member in use is refused: fail it first.", member, parsed => new HostOrder("remove", Named(parsed, member)));
    }

    public static Command CreateReplace()
    {
        var member = Member();
        var by = new Option<string?>("--by") { Description = "The device that takes over; a hot spare when left out.", HelpName = "DEVICE" };
        var command = Order("replace", "Copies a member to a new device while it serves, then lets that one take over.",
            "Redundancy is never less than before. Remove the old member when 'raid status' calls it faulty.", member,
            parsed => new HostOrder("replace", Named(parsed, member), parsed.GetValue(by) is { } device ? MemberDevices.Full(device) : null));
        command.Options.Add(by);
        return command;
    }

    public static Command CreateLimit()
    {
        var rate = new Argument<long>("MIB") { Description = "MiB of each member a second; 0 lifts the limit." };
        return Order("limit", "Limits the rate of resync, rebuild and scrub; takes effect at once.", "A higher rate ends the time without redundancy sooner; a lower one leaves more to clients.",
            rate, parsed => new HostOrder("limit", BytesPerSecond: parsed.GetValue(rate) is > 0 and var mebibytes ? mebibytes << 20 : null));
    }

    private static string Named(ParseResult parsed, Argument<string> member)
    {
        var name = parsed.GetRequiredValue(member);
        return int.TryParse(name, out _) ? name : MemberDevices.Full(name);
    }

    private static DescribedCommand Order(string word, string summary, string details, Argument argument, Func<ParseResult, HostOrder> order)
    {
        var name = RaidCommands.Name();
        var command = new DescribedCommand(word, summary, details) { name, argument };
        command.SetAction((parsed, stop) => RaidGuard.RunAsync(async () =>
        {
            var report = await RunningArrays.OrderAsync(parsed.GetRequiredValue(name), order(parsed), stop).ConfigureAwait(false);
            ArrayText.Write(parsed.InvocationConfiguration.Output, report);
            return ExitCode.Success;
        }));
        return command;
    }
}
