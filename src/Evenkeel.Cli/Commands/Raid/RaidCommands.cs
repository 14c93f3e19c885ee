using System.CommandLine;
using Evenkeel.Raid.Array;

namespace Evenkeel.Cli.Commands.Raid;

/// <summary><c>raid …</c>: arrays of Linux md format without the kernel's md. An array runs in the process that serves it.</summary>
internal static class RaidCommands
{
    public static Command Create() => new("raid", "Creates, runs, mends and checks arrays that mdadm can read.")
    {
        CreateCommand.Create(),
        AssembleCommand.Create(),
        ServeCommand.Create(),
        StatusCommand.Create(),
        ExamineCommand.Create(),
        MemberCommands.CreateAdd(),
        MemberCommands.CreateFail(),
        MemberCommands.CreateRemove(),
        MemberCommands.CreateReplace(),
        ScrubCommand.Create(),
        MemberCommands.CreateLimit(),
        GrowCommand.Create(),
        StopCommand.Create(),
        AdviseCommand.Create(),
    };

    /// <summary>The members of an array that does not run.</summary>
    public static Argument<string[]> Members() => new("MEMBER")
    {
        Description = "Files, block devices, or NBD URIs (nbd://host/export, nbd+unix:///export?socket=PATH).", Arity = ArgumentArity.OneOrMore,
    };

    /// <summary>An array that runs on this machine.</summary>
    public static Argument<string> Name() => new("NAME") { Description = "The array's name, as 'evenkeel raid status' shows it." };

    public static Option<bool> Force() => new("--force") { Description = "Start a dirty and degraded RAID 5 or 6 although data may be wrong." };

    public static ArrayOptions Options(ParseResult parsed, bool force)
    {
        var error = TextWriter.Synchronized(parsed.InvocationConfiguration.Error);
        return new ArrayOptions { Force = force, OnEvent = happened => error.WriteLine($"{happened.Kind}: {happened.Member} {happened.Detail}") };
    }
}
