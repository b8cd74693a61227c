// Submits the form that returns the payer to the shop; without scripts there is its button.
document.getElementById("back").submit();
