using System.CommandLine;

namespace Evenkeel.Cli;

public enum OutputFormat { Text, Json }

/// <summary>Options that several commands share. Each command makes its own: an option object belongs to one place in the tree.</summary>
internal static class Options
{
    public static Option<OutputFormat> Output()
    {
        var option = new Option<OutputFormat>("--output", "-o")
        {
            Description = "text for people, json for programs (stable names; one document on standard output).",
            HelpName = "text|json",
            DefaultValueFactory = _ => OutputFormat.Text,
        };
        option.CompletionSources.Clear();
        option.CompletionSources.Add("text", "json");
        return option;
    }

    /// <summary>How long a command waits for what it asked for, in seconds, 1 to 86400 (a day).</summary>
    public static Option<int> Timeout(string description, int seconds)
    {
        var option = new Option<int>("--timeout") { Description = description, DefaultValueFactory = _ => seconds, HelpName = "SECONDS" };
        option.Validators.Add(result => { if (result.GetValueOrDefault<int>() is < 1 or > 86400) result.AddError("--timeout is 1 to 86400 seconds."); });
        return option;
    }

    /// <summary>Which cluster; the only running one when left out.</summary>
    public static Option<string?> Cluster() => new("--cluster")
    {
        Description = "The cluster's name, the path of an agent's control socket, or the URL of its API (https://NODE:7807; with EVENKEEL_TOKEN or EVENKEEL_TOKEN_FILE, and EVENKEEL_CA: the file that 'evenkeel ca show' prints). Default: the only cluster that runs here.",
        HelpName = "NAME|SOCKET|URL",
    };
}
