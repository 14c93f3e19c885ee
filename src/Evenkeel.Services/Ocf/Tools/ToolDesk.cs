using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Ocf.Attributes;

namespace Evenkeel.Services.Ocf.Tools;

/// <summary>Answers the cluster's tools that stock agents call from inside their actions.</summary>
internal sealed class ToolDesk(IAttributes attributes, Func<ClusterView> view)
{
    /// <summary>Every tool that is there for the agents.</summary>
    public static IReadOnlyList<string> Names { get; } =
        ["crm_attribute", "crm_master", "attrd_updater", "crm_node", "crm_mon", "crm_resource", "cibadmin", "pacemakerd"];

    private readonly AttributeTool _attribute = new(attributes);
    private readonly StateTool _state = new(attributes);
    private readonly ResourceTool _resource = new(attributes);

    public async Task<ToolAnswer> AnswerAsync(ToolCall call, CancellationToken cancellation) => call.Program switch
    {
        "crm_attribute" or "crm_master" => await _attribute.AttributeAsync(call, view(), cancellation).ConfigureAwait(false),
        "attrd_updater" => await _attribute.UpdaterAsync(call, view(), cancellation).ConfigureAwait(false),
        "crm_node" => NodeTool.Answer(call, view()),
        "crm_mon" => StateTool.Monitor(view()),
        "cibadmin" => await _state.CibAsync(call, view(), cancellation).ConfigureAwait(false),
        "crm_resource" => await _resource.AnswerAsync(call, view(), cancellation).ConfigureAwait(false),
        "pacemakerd" => NodeTool.Version(),
        _ => ToolExit.NotHere(call.Program, "this tool"),
    };
}
