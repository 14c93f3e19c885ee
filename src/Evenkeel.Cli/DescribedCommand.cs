using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Evenkeel.Cli;

/// <summary>A command with a one-line summary (for lists of commands) and details (for its own help).</summary>
internal sealed class DescribedCommand(string name, string summary, string details) : Command(name, summary)
{
    public string Details { get; } = details;
}

/// <summary>Help of a described command shows its details too.</summary>
internal sealed class DetailedHelp(HelpAction help) : SynchronousCommandLineAction
{
    public override int Invoke(ParseResult parseResult)
    {
        if (parseResult.CommandResult.Command is DescribedCommand command)
            command.Description = $"{command.Description}\n\n{command.Details}";
        return help.Invoke(parseResult);
    }

    public override bool ClearsParseErrors => true;

    public static void Install(RootCommand root)
    {
        var option = root.Options.OfType<HelpOption>().Single();
        option.Action = new DetailedHelp((HelpAction)option.Action!);
    }
}
