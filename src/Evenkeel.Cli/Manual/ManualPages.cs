using System.CommandLine;

namespace Evenkeel.Cli.Manual;

/// <summary>The manual, out of the command line itself: a page for the program and one for each of its commands.</summary>
internal static class ManualPages
{
    /// <returns>By file name, <c>evenkeel.8</c> first.</returns>
    public static IReadOnlyList<(string File, string Page)> All(RootCommand root, string version) =>
        [("evenkeel.8", Program(root, version)), .. Shown(root.Subcommands).Select(command => ($"evenkeel-{command.Name}.8", Of(root, command, version)))];

    private static string Program(RootCommand root, string version)
    {
        var page = new Roff().Head("evenkeel", version).Section("NAME").Text("evenkeel - keeps services running when servers fail")
            .Section("SYNOPSIS").Bold("evenkeel COMMAND [OPTIONS]").Section("DESCRIPTION").Text(root.Description ?? "").Section("COMMANDS");
        foreach (var command in Shown(root.Subcommands))
            page.Entry($"evenkeel-{command.Name}(8)", Summary(command));
        page.Section("FILES").Entry("/var/lib/evenkeel", "State of this node: agent.json, certificates, etcd, logs, snapshots.")
            .Entry("/run/evenkeel", "Control sockets.")
            .Entry("/usr/share/doc/evenkeel", "The documentation: every key of the cluster file, and a page for each of an operator's worst days.");
        return Foot(page, "systemctl(1), etcd(1)").ToString();
    }

    private static string Of(RootCommand root, Command command, string version)
    {
        var name = $"evenkeel-{command.Name}";
        var page = new Roff().Head(name, version).Section("NAME").Text($"{name} - {Summary(command).TrimEnd('.')}")
            .Section("SYNOPSIS").Bold(Synopsis($"evenkeel {command.Name}", command));
        if (command is DescribedCommand described)
            page.Section("DESCRIPTION").Text(described.Details);
        Words(page, command, "ARGUMENTS", "OPTIONS");
        if (Shown(command.Subcommands).Any())
            page.Section("SUBCOMMANDS");
        foreach (var inner in Shown(command.Subcommands))
            Inner(page, $"evenkeel {command.Name} {inner.Name}", inner);
        page.Section("EXIT STATUS").Text("0 it worked, 1 it was tried and did not work, 2 usage, 3 errors in the cluster file, 4 refused, and nothing was changed, 5 the state of the cluster is of a later version than the program, 130 interrupted.");
        return Foot(page, "evenkeel(8)").ToString();
    }

    private static void Inner(Roff page, string name, Command command)
    {
        page.Part(Synopsis(name, command)).Text(Summary(command));
        if (command is DescribedCommand described)
            page.Text("\n" + described.Details);
        Words(page, command, null, null);
        foreach (var inner in Shown(command.Subcommands))
            Inner(page, $"{name} {inner.Name}", inner);
    }

    private static void Words(Roff page, Command command, string? arguments, string? options)
    {
        var (given, chosen) = (command.Arguments.Where(one => !one.Hidden).ToList(), command.Options.Where(one => !one.Hidden).OrderBy(one => one.Name, StringComparer.Ordinal).ToList());
        if (given.Count > 0 && arguments is not null)
            page.Section(arguments);
        foreach (var argument in given)
            page.Entry(argument.Name, argument.Description ?? "");
        if (chosen.Count > 0 && options is not null)
            page.Section(options);
        foreach (var option in chosen)
            page.Entry(string.Join(", ", option.Aliases.Append(option.Name).OrderBy(one => one.Length)) + (option.HelpName is { } value ? $" {value}" : ""), option.Description ?? "");
    }

    private static string Synopsis(string name, Command command) => string.Join(' ', new[] { name }
        .Concat(command.Arguments.Where(one => !one.Hidden).Select(one => one.Arity.MinimumNumberOfValues == 0 ? $"[{one.Name}]" : one.Arity.MaximumNumberOfValues > 1 ? $"{one.Name}..." : one.Name))
        .Concat(Shown(command.Subcommands).Any() ? ["[COMMAND]"] : Array.Empty<string>()).Append("[OPTIONS]"));

    private static Roff Foot(Roff page, string others) => page.Section("SEE ALSO").Text($"{others}, /usr/share/doc/evenkeel");

    private static IEnumerable<Command> Shown(IEnumerable<Command> commands) => commands.Where(command => !command.Hidden).OrderBy(command => command.Name, StringComparer.Ordinal);

    private static string Summary(Command command) => (command.Description ?? "").Split('\n')[0];
}
