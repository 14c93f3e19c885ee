using System.Text.Json;
using Evenkeel.Agent.Control;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.Agent.Enrolment;

/// <summary>Where <c>evenkeel token</c> asks for one.</summary>
internal sealed class TokenEndpoint(EnrolmentOffice? office)
{
    public void Map(WebApplication application) => application.MapPost(ControlRoutes.Tokens, (RequestDelegate)(http =>
        ControlEndpoints.Receive(http, ControlJson.Default.TokenOrder, order => ControlEndpoints.Send(http, Issue(order), ControlJson.Default.NewToken))));

    private Answer<NewToken> Issue(TokenOrder order) => office?.Issue(order) ?? (Answer<NewToken>)new Problem(ProblemKind.Refused,
        "this node has not the key of the cluster's certificate authority", "Ask on the node that 'evenkeel init' was run on (ca/ca.key below its state directory)");
}
