using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Evenkeel.Agent.Api;
using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Agent.Control;

namespace Evenkeel.Cli.Commands;

/// <summary><c>api</c>: who may use the control API over TLS, and its description.</summary>
internal static class ApiCommand
{
    public static Command Create() => new("api", "The control API over TLS: its tokens and its description.")
    {
        new Command("token", "Tokens by which programs and people off the nodes use the API.") { CreateToken(), CreateList(), CreateRevoke() },
        CreateOpenApi(),
    };

    private static DescribedCommand CreateToken()
    {
        var name = new Argument<string>("NAME") { Description = "For the audit trail, and to revoke it by." };
        var role = new Option<ApiRole>("--role") { Description = "viewer looks; operator also drains, moves and fences; admin may do everything.", HelpName = "viewer|operator|admin", Required = true };
        role.CompletionSources.Clear();
        role.CompletionSources.Add("viewer", "operator", "admin");
        var lifetime = new Option<string>("--lifetime") { Description = "How long it is good: 12h, 90d, at most 3650d.", HelpName = "TIME", DefaultValueFactory = _ => "90d" };
        lifetime.Validators.Add(result =>
        {
            if (!Duration.TryParse(result.GetValueOrDefault<string>() ?? "", out _)) result.AddError("--lifetime is a time like 12h, 90d.");
        });
        var output = Options.Output();
        return new DescribedCommand("create", "Makes a token and prints it, this once.", """
            The file must say 'api:' for the API to be served over TLS (evenkeel config reference). Then, off the nodes:
              evenkeel ca show > ca.pem                                            on a node
              curl --cacert ca.pem -H "Authorization: Bearer $TOKEN" https://NODE:7807/v1/status
              EVENKEEL_TOKEN=… EVENKEEL_CA=ca.pem evenkeel status --cluster https://NODE:7807
            """)
        { name, role, lifetime, output }.Acts(async call =>
        {
            _ = Duration.TryParse(call.Parsed.GetValue(lifetime)!, out var lasts);
            var made = await call.Client.CreateApiTokenAsync(new ApiTokenOrder(call.Parsed.GetRequiredValue(name), call.Parsed.GetValue(role), lasts), call.Cancellation);
            if (call.Parsed.GetValue(output) == OutputFormat.Json)
            {
                call.Output.WriteLine(JsonSerializer.Serialize(made, ClientJson.Default.NewApiToken));
                return ExitCode.Success;
            }

            call.Output.WriteLine(made.Token);
            call.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"The token of {made.Name} ({made.Role.ToString().ToLowerInvariant()}), good until {made.Ends.ToLocalTime():yyyy-MM-dd HH:mm}. It is kept nowhere: note it now."));
            return ExitCode.Success;
        });
    }

    private static DescribedCommand CreateList()
    {
        var output = Options.Output();
        return new DescribedCommand("list", "Lists the tokens, without their secrets.", "Those that have ended too, until they are revoked.") { output }.Acts(async call =>
        {
            var tokens = await call.Client.ApiTokensAsync(call.Cancellation);
            if (call.Parsed.GetValue(output) == OutputFormat.Json)
            {
                call.Output.WriteLine(JsonSerializer.Serialize(tokens, ClientJson.Default.ApiTokenList));
                return ExitCode.Success;
            }

            foreach (var one in tokens.Tokens)
            {
                call.Output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{one.Name}  {one.Role.ToString().ToLowerInvariant()}  {(one.Ends < DateTimeOffset.UtcNow ? "ended" : "until")} {one.Ends.ToLocalTime():yyyy-MM-dd HH:mm}  made by {one.By}"));
            }

            return ExitCode.Success;
        });
    }

    private static DescribedCommand CreateRevoke()
    {
        var name = new Argument<string>("NAME") { Description = "The token's name." };
        return new DescribedCommand("revoke", "Ends a token.", "It changes nothing from this moment on; a node that is cut off from the coordination store may still let it look until it is back.") { name }.Acts(async call =>
        {
            call.Output.WriteLine((await call.Client.RevokeApiTokenAsync(call.Parsed.GetRequiredValue(name), call.Cancellation)).Message);
            return ExitCode.Success;
        });
    }

    private static DescribedCommand CreateOpenApi()
    {
        var command = new DescribedCommand("openapi", "Prints the API's description: OpenAPI 3.1, JSON.", "Agents serve it at /v1/openapi.json; docs/openapi.json is the same.");
        command.SetAction(parsed =>
        {
            parsed.InvocationConfiguration.Output.Write(OpenApiText.Text);
            return ExitCode.Success;
        });
        return command;
    }
}
