using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Configuration.Keys;

namespace Evenkeel.Cli.Commands;

/// <summary><c>config check FILE</c>, <c>config schema</c> and <c>config reference</c>.</summary>
internal static class ConfigCommand
{
    public static Command Create() => new("config", "Checks cluster files and describes their format.") { CreateCheck(), CreateSchema(), CreateReference() };

    private static Command CreateCheck()
    {
        var file = new Argument<string>("FILE") { Description = "The cluster file." };
        var output = Options.Output();
        var command = new DescribedCommand("check", "Checks a cluster file without touching any cluster.", """
            Reports everything that is wrong at once, each with line, column, key and how to mend it.
            Exit code 0 when the file may be used (warnings allowed), 3 when it has errors.
            """)
        { file, output };
        command.SetAction(parsed =>
        {
            var result = ClusterFile.Read(parsed.GetRequiredValue(file));
            if (parsed.GetValue(output) == OutputFormat.Json)
                parsed.InvocationConfiguration.Output.WriteLine(JsonSerializer.Serialize(result.Diagnostics, ConfigJson.Default.IReadOnlyListDiagnostic));
            else
                WriteText(result, parsed.GetRequiredValue(file), parsed.InvocationConfiguration);
            return result.Spec is null ? ExitCode.Configuration : ExitCode.Success;
        });
        return command;
    }

    private static void WriteText(ClusterFileResult result, string file, InvocationConfiguration console)
    {
        foreach (var diagnostic in result.Diagnostics)
            console.Error.WriteLine(diagnostic);
        if (result.Spec is { } spec)
            console.Output.WriteLine($"{file} is right: cluster {spec.Cluster}, {Count(spec.Nodes.Count, "node")}, {Count(spec.Vips.Count, "virtual IP")}, {Count(spec.Services.Count, "service")}.");
        else
            console.Error.WriteLine($"{Count(result.Diagnostics.Count(diagnostic => diagnostic.Severity == Severity.Error), "error")}; {file} cannot be used.");
    }

    private static string Count(int number, string what) => $"{number} {what}{(number == 1 ? "" : "s")}";

    private static Command CreateSchema()
    {
        var command = new DescribedCommand("schema", "Prints the JSON schema of cluster files (draft 2020-12), for editors and other checkers.", """
            In an editor with the YAML language server, begin the file with
              # yaml-language-server: $schema=cluster.schema.json
            """);
        command.SetAction(parsed => parsed.InvocationConfiguration.Output.WriteLine(JsonSchema.Text()));
        return command;
    }

    private static Command CreateReference()
    {
        var command = new DescribedCommand("reference", "Prints the manual of cluster files: every key, unit, range and default.", "It is Markdown; docs/configuration.md is this output.");
        command.SetAction(parsed => parsed.InvocationConfiguration.Output.Write(ConfigurationManual.Text()));
        return command;
    }
}

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(IReadOnlyList<Diagnostic>))]
internal sealed partial class ConfigJson : JsonSerializerContext;
